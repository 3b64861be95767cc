"""The fused extended-phase-graph kernels: Numba on the CPU, Triton on NVIDIA GPUs."""
