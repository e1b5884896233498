"""What only NVIDIA's own debugger can tell: the kernels on the card."""

ASKED_BY = "device"
