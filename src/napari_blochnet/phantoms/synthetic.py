"""A synthetic head, made by code: the phantom that is always there."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

import numpy as np

from napari_blochnet.common.arrays import FloatArray, IntArray
from napari_blochnet.common.errors import InputError
from napari_blochnet.common.progress import CancelEvent, ProgressCallback, Watch
from napari_blochnet.phantoms.head_shapes import CENTRE, FIELD_OF_VIEW, head_fields
from napari_blochnet.phantoms.mixing import mix
from napari_blochnet.phantoms.phantom import Phantom
from napari_blochnet.phantoms.tissues import load_tissues

__all__ = ["synthetic_phantom"]

_TISSUES = ("CSF", "grey matter", "white matter", "fat", "muscle", "muscle/skin", "marrow")
_NOTHING = 0
_CSF, _GREY, _WHITE, _FAT, _MUSCLE, _SKIN, _MARROW = range(1, 8)

# The anatomy is smooth: its fields are computed on a grid of this spacing (mm, with a node at 0) and interpolated.
_FIELD_SPACING = 2.0
# Tissues are decided at points at most this far apart, mm, at least two along each axis of a voxel; a voxel's
# fractions are their share of its points.
_SAMPLE_SPACING = 1.0
_THICKEST_SLICE = 3.0
_MOST_VOXELS = 2**27

_CORTEX = 2.9
_SKIN_DEPTH = 2.0
_SKULL = 6.4
_FALX = 0.6
_TENTORIUM = 1.6


def synthetic_phantom(
    shape: tuple[int, int, int] = (60, 109, 91),
    seed: int = 0,
    tissues: str | os.PathLike[str] = "paper",
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelEvent | None = None,
) -> Phantom:
    """Make a head: scalp, skull, CSF, folded cortex, white matter, ventricles, deep nuclei, cerebellum, eyes, face.

    Parameters
    ----------
    shape : tuple of int
        Voxels along (z, y, x), 1 to 1024 each. They share a field of view of 180 × 218 × 182 mm; the default has
        voxels of 3 × 2 × 2 mm. Slices are at most as thick as voxels are long in the plane, or 3 mm, so that a few of
        them cover the middle of the head: one slice goes through the ventricles.
    seed : int
        At least 0; of the cortical folds and small irregularities. Equal seeds give equal heads.
    tissues : {"paper", "brainweb-1.5T"} or path
        Tissue table, as in `read_phantom`.
    progress, cancelled : optional
        See `napari_blochnet.common.progress`; counted in slices.

    Returns
    -------
    Phantom
        With partial volume: fractions are shares of sample points at most 1 mm apart.

    Raises
    ------
    InputError
        A shape or seed out of range; a tissue table without the tissues of the head.
    Cancelled
        Nothing is kept.

    Notes
    -----
    The head is drawn from general anatomy, not from any subject's data. Sulci are the zeros of band-limited noise on
    the surface of each hemisphere, carried inwards.
    """
    sizes = tuple(int(n) for n in shape)
    if len(sizes) != 3 or not all(1 <= n <= 1024 for n in sizes) or math.prod(sizes) > _MOST_VOXELS:
        raise InputError(
            f"shape is {tuple(shape)}",
            f"three numbers of voxels (z, y, x) from 1 to 1024, in all at most {_MOST_VOXELS:,}",
            field="shape",
        )
    if seed < 0:
        raise InputError(f"seed is {seed}", "at least 0", field="seed")
    table = load_tissues(tissues)
    lacking = [tissue for tissue in _TISSUES if tissue not in table or not table[tissue].has_signal]
    if lacking:
        sentence = f"The tissue table {tissues} has no values for {', '.join(lacking)}; the synthetic head needs them."
        raise InputError(sentence, field="tissues")
    watch = Watch(progress, cancelled)
    watch.report(0, sizes[0], "shaping the head")
    voxel_size = [extent / n for extent, n in zip(FIELD_OF_VIEW, sizes, strict=True)]
    voxel_size[0] = min(voxel_size[0], max(_THICKEST_SLICE, *voxel_size[1:]))
    start = [centre - n * size / 2 for centre, n, size in zip(CENTRE, sizes, voxel_size, strict=True)]
    nodes = [_nodes(low, low + n * size) for low, n, size in zip(start, sizes, voxel_size, strict=True)]
    fields = head_fields(nodes[0], nodes[1], nodes[2], seed=seed)
    points = [max(2, math.ceil(size / _SAMPLE_SPACING)) for size in voxel_size]
    axes = [
        _Axis.through(nodes[i], start[i] + (np.arange(sizes[i] * points[i]) + 0.5) * voxel_size[i] / points[i])
        for i in range(3)
    ]
    fractions = np.zeros((len(_TISSUES), *sizes), np.float32)
    for z in range(sizes[0]):
        watch.check("making the synthetic head")
        watch.report(z, sizes[0], "shaping the head")
        slab = axes[0].part(z * points[0], (z + 1) * points[0])
        found = _tissue_at({key: _interpolated(field, slab, *axes[1:]) for key, field in fields.items()})
        fractions[:, z] = _shares(found, sizes[1:], points)
    values = mix(
        {tissue: _Share(fractions[number]) for number, tissue in enumerate(_TISSUES)}, table, watch=watch.quiet
    )
    affine = np.diag([*voxel_size[::-1], 1.0])
    affine[:3, 3] = [low + size / 2 for low, size in zip(start[::-1], voxel_size[::-1], strict=True)]
    watch.report(sizes[0], sizes[0], "shaping the head")
    return Phantom(
        **values,
        voxel_size=(voxel_size[0], voxel_size[1], voxel_size[2]),
        affine=affine,
        name="synthetic head",
        notes=(f"A head made by code, seed {seed}.",),
        record={
            "operation": "synthetic_head",
            "settings": {"shape": list(sizes), "seed": seed, "tissues": str(tissues)},
            "inputs": {},
        },
    )


def _nodes(low: float, high: float) -> FloatArray:
    """Return the field's nodes around an interval, multiples of their spacing."""
    return _FIELD_SPACING * np.arange(math.floor(low / _FIELD_SPACING), math.ceil(high / _FIELD_SPACING) + 1)


@dataclass(frozen=True)
class _Share:
    """A fraction array as `mix` wants it."""

    values: FloatArray

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.values.shape

    def slab(self, start: int, stop: int) -> FloatArray:
        return self.values[start:stop]


@dataclass(frozen=True)
class _Axis:
    """Where sample points lie between the nodes of one axis."""

    index: IntArray
    weight: FloatArray

    @classmethod
    def through(cls, nodes: FloatArray, positions: FloatArray) -> _Axis:
        where = (positions - nodes[0]) / (nodes[1] - nodes[0])
        index = np.clip(np.floor(where).astype(np.intp), 0, len(nodes) - 2)
        return cls(index, (where - index).astype(np.float32))

    def part(self, start: int, stop: int) -> _Axis:
        return _Axis(self.index[start:stop], self.weight[start:stop])


def _interpolated(field: FloatArray, z: _Axis, y: _Axis, x: _Axis) -> FloatArray:
    """Return a field at sample points, linear between nodes along each axis."""
    values = np.asarray(field[z.index[0] : z.index[-1] + 2], dtype=np.float32)
    first = z.index - z.index[0]
    weight = z.weight[:, None, None]
    values = values[first] * (1 - weight) + values[first + 1] * weight
    weight = y.weight[None, :, None]
    values = values[:, y.index] * (1 - weight) + values[:, y.index + 1] * weight
    sampled: FloatArray = values[:, :, x.index] * (1 - x.weight) + values[:, :, x.index + 1] * x.weight
    return sampled


def _shares(found: IntArray, shape: tuple[int, ...], points: list[int]) -> FloatArray:
    """Return the share of each tissue in each voxel of one slice, (tissue, y, x)."""
    ny, nx = shape
    count = points[0] * points[1] * points[2]
    voxel = (np.arange(ny * points[1]) // points[1] * nx)[:, None] + np.arange(nx * points[2]) // points[2]
    kinds = len(_TISSUES) + 1
    hits = np.bincount((voxel * kinds + found).reshape(-1), minlength=ny * nx * kinds).reshape(ny, nx, kinds)
    return np.moveaxis(hits[:, :, 1:], -1, 0).astype(np.float32) / np.float32(count)


def _tissue_at(f: dict[str, FloatArray]) -> IntArray:
    """Decide the tissue at each point, from the outside inwards; later lines overrule earlier ones."""
    depth = -f["skin"]
    tissue = np.where(depth > 0, _MUSCLE, _NOTHING).astype(np.uint8)
    # muscle is streaked with fat, in the face and neck more than elsewhere
    tissue[(depth > 0) & (f["mixture"] > 0.9)] = _FAT
    tissue[(f["tongue"] < 0) & (depth > 0)] = _MUSCLE
    tissue[(depth > 0) & (depth < _SKIN_DEPTH + f["fat"])] = _FAT
    bone = np.minimum(f["bone"], np.where(f["cavity"] > 0, f["cavity"] - _SKULL, 99.0))
    inside = depth > _SKIN_DEPTH + 1.0
    tissue[inside & (bone < 0)] = _NOTHING
    diploe = (f["cavity"] > 1.9) & (f["cavity"] < _SKULL - 1.7) & (f["mixture"] > -1.1)
    tissue[inside & (diploe | (f["bone"] < -4.0))] = _MARROW
    tissue[inside & (f["spine"] < 1.5)] = _NOTHING
    tissue[inside & (f["spine"] < 0)] = _MARROW
    tissue[inside & (f["canal"] < 0) & (f["cavity"] > 0)] = _NOTHING
    orbit = (f["orbit"] < 0) & (f["cavity"] > 1.5) & inside
    tissue[orbit] = _FAT
    tissue[(f["eyes"] < 1.3) & (depth > 0)] = _MUSCLE
    tissue[f["eyes"] < 0] = _CSF
    tissue[f["lens"] < 0] = _SKIN
    tissue[(f["nerve"] < 0) & (f["eyes"] > 0)] = _WHITE
    tissue[(depth > 0) & (f["air"] < 1.0) & (f["cavity"] > 0)] = _SKIN
    tissue[(depth > -3) & (f["air"] < 0) & (f["cavity"] > 0)] = _NOTHING
    tissue[(depth > 0) & (depth < _SKIN_DEPTH) & (f["air"] > 0)] = _SKIN
    tissue[(f["canal"] < -2.0) & (depth > 0)] = _CSF
    tissue[f["cavity"] < 0] = _CSF
    _brain(tissue, f)
    return tissue


def _brain(tissue: IntArray, f: dict[str, FloatArray]) -> None:
    cerebellum = f["cerebellum"]
    cerebrum = (f["cerebrum"] < 0) & (cerebellum > _TENTORIUM)
    # the surface of a hemisphere is its outside and its wall towards the other one
    into = np.minimum(-f["cerebrum"], f["fissure"] - _FALX)
    # below its floor a sulcus goes on as distance, so that cortex wraps around it
    beyond = np.maximum(into - f["depth"], 0.0) + 2.0 * np.maximum(1.0 - f["core"], 0.0)
    sulcus = np.hypot(f["sulcus"], beyond)
    opened = sulcus - 0.35 - 0.03 * np.maximum(f["depth"] - into, 0.0)
    gap = np.minimum(np.minimum(opened, f["fissure"] - _FALX), f["insula"] - 0.8)
    # cortex lines the surface and the gaps, but not where the hemisphere meets brainstem and cerebellum's stalk
    lining = np.minimum(np.minimum(into, gap), cerebellum - _TENTORIUM)
    tissue[cerebrum] = _WHITE
    tissue[cerebrum & (lining < _CORTEX) & (f["brainstem"] > 0)] = _GREY
    tissue[cerebrum & (gap < 0)] = _CSF
    tissue[(f["nuclei"] < 0) & cerebrum] = _GREY
    folded = (cerebellum < 0) & (np.abs(cerebellum) > 0.4)
    tissue[folded] = _GREY
    tissue[folded & (f["folia"] > 0)] = _WHITE
    tissue[f["brainstem"] < 0] = _WHITE
    tissue[(f["ventricles"] < 0) & (f["cavity"] < 0)] = _CSF
