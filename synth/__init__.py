"""Synthesis: flows that read emitted Verilog and manifests. None yet."""
