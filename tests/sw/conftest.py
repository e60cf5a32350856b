"""Torch on one thread: the layers of the tests are too small to share, and threads that wait for
each other on a busy machine take minutes for what one does in seconds."""

try:
    import torch
except ImportError:
    pass
else:
    torch.set_num_threads(1)
