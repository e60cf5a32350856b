"""Golden model of the CTA engine (Compressed Token Attention, HPCA 2023)."""
