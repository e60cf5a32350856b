"""Generator of the LookupFFN engine."""
