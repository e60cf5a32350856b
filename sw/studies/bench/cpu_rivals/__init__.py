"""What a LookupFFN layer on the CPU stands beside, ready for inference: one file a kind, all in :mod:`.registry`."""
