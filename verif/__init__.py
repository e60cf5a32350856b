"""Verification: cocotb benches and a fast harness, with expected values from ``model`` alone."""
