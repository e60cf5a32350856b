"""What the generated hardware does with its cycles: ``python -m sw.studies.bench [ENGINE]``."""
