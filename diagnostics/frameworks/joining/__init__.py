"""Groups of ranks that are being formed, by PyTorch, JAX or another framework."""
