"""What ships with the project: where the demo's data lie."""

from pathlib import Path

__all__ = ["HEAD", "LAYER", "ENCODER"]

_DATA = Path(__file__).parents[1] / "demo" / "data"

HEAD = _DATA / "demo_head.npz"
"""The attention head of a trained transformer and 512 of its tokens."""

LAYER = _DATA / "demo_lookup.npz"
"""A trained LookupFFN layer and 512 of its tokens."""

ENCODER = _DATA / "encoder"
"""A trained encoder of CTA and LookupFFN, a checkpoint of ``sw.lm.train``."""
