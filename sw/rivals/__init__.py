"""Rivals of the attention engine, each as a value that prices a layer: ``python -m sw.rivals``."""
