"""Tests of the CTA generator."""
