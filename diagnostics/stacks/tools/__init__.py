"""What tools that read stacks say, as threads. Pure; a tool's words are untrusted."""


class Unreadable(Exception):
    """Why a tool's words are no threads, in words."""
