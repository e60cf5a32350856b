"""Quantisation of trained layers: torch twins of the golden model. Needs the ``sw`` extra."""
