"""What event loops of asyncio wait for: their suspended tasks."""
