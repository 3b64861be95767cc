"""Spins: Bloch isochromats, extended phase graphs, the fused decoder kernels, Cramér–Rao bounds."""
