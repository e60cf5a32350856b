"""Which layers are compressed and how far: plans, the search for one, and self-distillation."""
