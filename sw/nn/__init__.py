"""PyTorch layers: what replaces attention and feed-forward networks. Needs the ``sw`` extra."""
