"""The feed-forward networks that are compared: one file each, found by name in ``registry``."""
