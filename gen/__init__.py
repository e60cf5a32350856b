"""Amaranth generators: how each number of ``model`` is computed in hardware."""

__version__ = "0.1.0"
