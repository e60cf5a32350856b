"""CTA in a pretrained encoder on disk, ``python -m sw.pretrained``. Needs the ``hf`` extra."""
