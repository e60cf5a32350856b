"""What a user runs: quantisation, calibration, one head on float, golden model or RTL."""
