"""The CTA engine (Compressed Token Attention, HPCA 2023) as Amaranth."""
