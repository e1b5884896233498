"""What only NVIDIA's own tools can tell: kernels on the card, NCCL's view of its communicators."""
