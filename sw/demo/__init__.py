"""The main job, shown: a real head, a real layer and a trained encoder: ``make demo``."""
