"""What only PyTorch has: the ring of collectives in each process, its process groups, its store."""
