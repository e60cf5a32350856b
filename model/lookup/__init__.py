"""Golden model of the LookupFFN engine (LookupFFN, ICML 2023)."""
