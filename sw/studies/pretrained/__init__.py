"""CTA in a pretrained encoder on disk, ``python -m sw.studies.pretrained``. Needs the ``hf`` extra."""
