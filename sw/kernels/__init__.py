"""Kernels for the CPU: the golden model's integers at the speed of the machine, without torch."""
