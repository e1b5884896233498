"""Queues of graph-mode TensorFlow: whether a program fills them by threads of its own."""
