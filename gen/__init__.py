"""Generators: how every number is computed. Amaranth."""
