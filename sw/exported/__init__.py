"""Exported models: one binary image a layer, as the engines load it. Needs numpy alone."""
