"""The engines as compiled programs: Verilator, the harness, the cache of builds, a driver for each engine."""
