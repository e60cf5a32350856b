"""Tests of the hardware that belongs to no engine."""
