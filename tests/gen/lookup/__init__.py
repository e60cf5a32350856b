"""Tests of the LookupFFN generator."""
