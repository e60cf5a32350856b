"""The models that the layers are put into: one file a family."""
