"""Dumps of PyTorch's Flight Recorder that ranks have written themselves."""
