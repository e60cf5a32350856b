"""What a LookupFFN layer on the CPU stands beside, ready for inference; :mod:`.registry` has all."""
