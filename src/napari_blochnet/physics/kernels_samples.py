"""Rows of states and of samples: what both kernels do with them."""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"
from __future__ import annotations

from napari_blochnet.physics.kernels_math import jit

__all__ = ["TILE", "add_rows", "project", "write"]

# Samples gathered before they are written: two cache lines of each voxel's row at once.
TILE = 32


@jit
def add_rows(target, source, first, count, factor):
    """Add factor times ``count`` rows of source to target, from row ``first`` on and around the end."""
    row = first
    for _ in range(count):
        for j in range(target.shape[1]):
            target[row, j] += factor * source[row, j]
        row = row + 1 if row + 1 < len(target) else 0


@jit
def write(tile, scale, first, length, order, start, count, target, add, weight):
    """Move samples (time, voxel) into rows of target (voxel, time), times scale by voxel and weight by time."""
    for j in range(count):
        row = order[start + j]
        factor = scale[j]
        if add:
            for i in range(length):
                target[row, first + i] += factor * weight[first + i] * tile[i, j]
        else:
            for i in range(length):
                target[row, first + i] = factor * weight[first + i] * tile[i, j]


@jit
def project(tile, scale, first, length, order, start, count, cotangent, gradient, weight):
    """Add to gradient (voxel,) the products over time of samples (time, voxel) and cotangent (voxel, time)."""
    for j in range(count):
        row = order[start + j]
        total = 0.0
        for i in range(length):
            total += weight[first + i] * tile[i, j] * cotangent[row, first + i]
        gradient[row] += scale[j] * total
