"""The anatomy of the synthetic head: smooth fields whose signs and sizes say what lies where.

Coordinates are mm: x to the right, y to the front, z upwards, the origin near the middle of the brain. A field called
a distance is negative inside its shape and near its surface about the distance to it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from napari_blochnet.common.arrays import FloatArray

__all__ = ["CENTRE", "FIELD_OF_VIEW", "head_fields"]

#: Extent of the head's field of view along (z, y, x), mm.
FIELD_OF_VIEW = (180.0, 218.0, 182.0)
#: Its centre (z, y, x), mm: an axial slice there shows frontal horns, thalamus and atria.
CENTRE = (8.0, 0.0, 0.0)

# Distance between two gyri, mm; sulci lie at the zeros of noise of twice this wavelength.
_GYRUS = 10.5
_HEMISPHERE_CENTRE = (29.0, -4.0, 12.0)
_HEMISPHERE_AXES = (36.0, 84.0, 58.0)

# One lateral ventricle as chains of (x, y, z, radius) in mm, mirrored in x: frontal horn, body, atrium, occipital horn;
# atrium, temporal horn.
_VENTRICLE = (
    ((10.0, 34.0, 4.0, 2.5), (7.0, 24.0, 9.0, 5.5), (6.0, 8.0, 15.0, 5.8), (8.5, -14.0, 21.0, 5.5),
     (20.0, -36.0, 17.0, 6.5), (25.0, -44.0, 9.0, 6.5), (22.0, -66.0, 5.0, 2.0)),
    ((25.0, -42.0, 8.0, 6.0), (34.0, -26.0, -10.0, 3.5), (31.0, -4.0, -20.0, 2.5)),
)  # fmt: skip


def head_fields(z: FloatArray, y: FloatArray, x: FloatArray, *, seed: int) -> dict[str, FloatArray]:
    """Return the fields on a grid.

    Parameters
    ----------
    z, y, x : array of shape (Z,), (Y,), (X,)
        Equally spaced positions along each axis, mm.
    seed : int
        Of folds and irregularities.

    Returns
    -------
    dict of str to array of shape (Z, Y, X)
        float32.
    """
    random = np.random.default_rng(seed)
    p = (x[None, None, :], y[None, :, None], z[:, None, None])
    side = (np.abs(p[0]), p[1], p[2])
    irregular = _waves(p, random, 60.0, 6)
    cerebellum = _smooth_min(
        _ellipsoid(side, (21, -54, -41), (27, 26, 20)), _ellipsoid(p, (0, -51, -37), (14, 22, 18)), 6
    )
    brainstem = _smooth_min(
        _chain(p, ((0, -14, -10, 13.0), (0, -20, -38, 13.0), (0, -27, -62, 8.0), (0, -36, -100, 6.0))),
        _ellipsoid(p, (0, -13, -36), (17, 13, 13)),
        6,
    )
    narrowing = 1.0 + 0.0011 * (p[1] + 4.0)  # the skull is widest behind the ears
    wide = (side[0] * narrowing, p[1], p[2])
    vault = _ellipsoid(wide, (0, -4, 12), (66, 84, np.where(p[2] > 12, 61.0, 48.0)))
    temporal = _ellipsoid(side, (42, 4, -22), (22, 38, 20))
    cerebrum = _smooth_min(vault, temporal, 10) + 1.2 * irregular
    # between frontal and temporal lobe, and in front of the brainstem, the base of the brain recedes
    base = _ellipsoid(side, (22, 44, -42), (30, 36, 26))
    cerebrum = _smooth_max(cerebrum, -base, 8)
    cavity = _smooth_min(_smooth_min(cerebrum, cerebellum, 12), brainstem, 10) - 2.5
    skin = _skin(p, side, narrowing) + 0.8 * _waves(p, random, 45.0, 6)
    return {
        "skin": skin,
        "fat": 3.6 + 1.2 * _waves(p, random, 70.0, 6) + 5.0 * _ramp(-p[2], 10.0, 70.0),
        "cavity": cavity,
        "cerebrum": cerebrum,
        "cerebellum": cerebellum,
        "folia": _folia(p, cerebellum, random),
        "brainstem": brainstem,
        **_cortex(p, side, cerebrum, random),
        "ventricles": _ventricles(p, side),
        "nuclei": _nuclei(side),
        **_face(p, side, random),
    }


def _skin(p: Sequence[FloatArray], side: Sequence[FloatArray], narrowing: FloatArray) -> FloatArray:
    wide = (side[0] * narrowing, p[1], p[2])
    cranium = _ellipsoid(wide, (0, -5, 10), (79, 99, 78))
    face = _ellipsoid(p, (0, 38, -52), (57, 53, 66))
    nose = _ellipsoid(p, (0, 92, -46), (13, 14, 20))
    lower = _ellipsoid(p, (0, 88, -82), (20, 10, 14))
    neck = _ellipsoid(p, (0, -28, -130), (54, 60, 110))
    nape = _ellipsoid(p, (0, -38, -34), (67, 56, 42))
    ears = _ellipsoid(side, (77, -10, -28), (5, 15, 25))
    head = _smooth_min(_smooth_min(_smooth_min(cranium, face, 18), nape, 16), neck, 22)
    head = _smooth_min(head, nose, 7)
    return _smooth_min(_smooth_min(head, lower, 8), ears, 4)


def _cortex(
    p: Sequence[FloatArray], side: Sequence[FloatArray], cerebrum: FloatArray, random: np.random.Generator
) -> dict[str, FloatArray]:
    """Return the signed distance to the nearest sulcus's sheet, its depth, and the two great fissures."""
    # sulci run down towards the middle of their hemisphere: noise on its surface, carried inwards
    offset = tuple(
        coordinate - centre + 3.0 * _waves(p, random, 38.0, 8)
        for coordinate, centre in zip(side, _HEMISPHERE_CENTRE, strict=True)
    )
    radius = np.sqrt(sum((o / a) ** 2 for o, a in zip(offset, _HEMISPHERE_AXES, strict=True)))
    # a little bending, so that a sulcus is no cone
    outwards = np.maximum(radius, 0.05) ** 0.92
    surface = tuple(o / outwards for o in offset)
    hemispheres = [_waves(surface, random, 2 * _GYRUS, 28, 0.18) for _ in range(2)]
    noise = np.where(p[0] < 0, *hemispheres)
    step = float(np.ravel(p[0])[1] - np.ravel(p[0])[0])
    slope = np.sqrt(sum(part**2 for part in np.gradient(noise, step)))
    # where the noise is flat there is no sulcus near
    sulcus = np.clip(noise / np.sqrt(slope**2 + (0.35 * np.pi / _GYRUS) ** 2), -8.0, 8.0)
    depth = 14.0 + 7.0 * _waves(surface, random, 55.0, 8)
    callosum = _ellipsoid(p, (0, -7, 9), (1e3, 41, 21))
    # around the ventricles and below the corpus callosum the hemispheres hang together
    core = _ellipsoid(p, (0, -6, 8), (36, 40, 20))
    # the lateral (Sylvian) fissure: a slanting sheet from the side down to the insula
    sylvian = (p[2] + 5.0 - 0.3 * (p[1] - 8.0)) * 0.95 + 3.5 * _waves(p, random, 48.0, 6)
    beyond = np.maximum(np.maximum(37.0 - side[0], p[1] - 34.0), -34.0 - p[1])
    insula = np.sqrt(sylvian**2 + np.maximum(beyond, 0.0) ** 2)
    # the falx is never quite straight
    midline = np.abs(p[0] - 1.8 * _waves((0.0 * p[0], p[1], p[2]), random, 55.0, 6))
    fissure = np.sqrt(midline**2 + np.maximum(-callosum, 0.0) ** 2)
    return {"sulcus": sulcus, "depth": depth, "core": core, "fissure": fissure, "insula": np.minimum(insula, 12.0)}


def _ventricles(p: Sequence[FloatArray], side: Sequence[FloatArray]) -> FloatArray:
    lateral = _smooth_min(_chain(side, _VENTRICLE[0]), _chain(side, _VENTRICLE[1]), 3)
    # taller than wide, and kept apart by the septum
    lateral = _smooth_max(lateral, 0.3 - side[0], 0.8)
    third = _ellipsoid(p, (0, -6, -1), (2.2, 14, 10))
    fourth = _smooth_min(
        _ellipsoid(p, (0, -33, -42), (7, 5, 10)), _chain(p, ((0, -22, -12, 1.4), (0, -30, -34, 1.6))), 2
    )
    return np.minimum(np.minimum(lateral, third), fourth)


def _nuclei(side: Sequence[FloatArray]) -> FloatArray:
    caudate = _chain(side, ((18, 24, 6, 6.5), (18, 12, 15, 5.0), (20, -10, 25, 3.2), (26, -28, 23, 2.0)))
    putamen = _ellipsoid(side, (27, 4, 1), (5.5, 17, 11))
    thalamus = _ellipsoid(side, (11.5, -17, 5), (8.5, 15, 10))
    hippocampus = _chain(side, ((27, -6, -23, 5.0), (30, -22, -16, 4.0), (24, -36, -2, 3.0)))
    return np.minimum(np.minimum(caudate, putamen), np.minimum(thalamus, hippocampus))


def _folia(p: Sequence[FloatArray], cerebellum: FloatArray, random: np.random.Generator) -> FloatArray:
    """Return how white the cerebellum is: above 0 in its core and its branches."""
    offset = (np.abs(p[0]) * 0.55, p[1] + 44.0, p[2] + 36.0)
    distance = np.sqrt(sum(o**2 for o in offset))
    angle = np.arctan2(offset[2], -offset[1])
    branches = np.cos(11.0 * angle + 0.8 * _waves(p, random, 40.0, 4)) - 0.55
    core = _ellipsoid((np.abs(p[0]), p[1], p[2]), (16, -46, -40), (15, 10, 5))
    inner = np.minimum(-cerebellum - 4.0, 3.0)
    white: FloatArray = np.minimum(np.maximum(-core, 0.20 * distance * branches), inner)
    return white


def _face(p: Sequence[FloatArray], side: Sequence[FloatArray], random: np.random.Generator) -> dict[str, FloatArray]:
    air = [
        _ellipsoid(side, (8, 68, -46), (4.5, 26, 15)),
        _ellipsoid(side, (28, 62, -52), (11, 13, 14)),
        _ellipsoid(side, (7, 30, -38), (8, 11, 8)),
        _ellipsoid(side, (9, 84, 2), (9, 5, 7)),
        _chain(p, ((0, 36, -58, 6.0), (0, 22, -72, 6.5), (0, 16, -100, 7.5))),
        _chain(p, ((0, 44, -74, 2.0), (0, 86, -76, 2.0))),
        _chain(side, ((84, -10, -30, 2.5), (60, -12, -30, 2.5))),
        _ellipsoid(side, (52, -26, -38), (8, 9, 11)),
    ]
    bone = [
        _ellipsoid(side, (28, 60, -52), (15, 18, 18)),
        _ellipsoid(side, (10, 64, -46), (9, 30, 19)),
        _ellipsoid(side, (54, -24, -36), (12, 16, 14)),
        _chain(side, ((46, 20, -46, 4.5), (44, 22, -78, 4.5), (12, 76, -100, 6.0))),
        _chain(side, ((66, 20, -40, 3.0), (42, 62, -38, 4.0))),
        _ellipsoid(p, (0, 30, -38), (16, 16, 13)),
    ]
    disc = np.cos(2 * np.pi * (p[2] + 66.0) / 18.0)
    spine = _chain(p, ((0, -13, -70, 11.0), (0, -16, -110, 12.0))) + 1.5 * disc
    canal = _chain(p, ((0, -31, -64, 11.0), (0, -37, -110, 9.0)))
    eyes = _ellipsoid(side, (31, 70, -27), (12, 12.5, 12))
    return {
        "air": np.minimum.reduce(np.broadcast_arrays(*air)),
        "bone": np.minimum.reduce(np.broadcast_arrays(*bone)),
        "spine": spine + 0.0 * p[1],
        "canal": canal,
        "eyes": eyes,
        "lens": _ellipsoid(side, (31, 79.5, -27), (4.5, 2.5, 4.5)),
        "nerve": _chain(side, ((31, 58, -27, 2.6), (12, 28, -22, 2.6), (2, 16, -20, 2.6))),
        "orbit": _chain(side, ((31, 70, -27, 18.0), (24, 46, -25, 8.0))),
        "mixture": _waves(p, random, 24.0, 10),
        "tongue": _ellipsoid(p, (0, 58, -88), (24, 32, 15)),
    }


def _ellipsoid(p: Sequence[FloatArray], centre: Sequence[float], axes: Sequence[float | FloatArray]) -> FloatArray:
    """Return about the distance to an ellipsoid: exact on it, and of slope 1 there."""
    scaled = [(coordinate - c) / a for coordinate, c, a in zip(p, centre, axes, strict=True)]
    k0 = np.sqrt(sum(s**2 for s in scaled))
    k1 = np.sqrt(sum((s / a) ** 2 for s, a in zip(scaled, axes, strict=True)))
    return np.asarray(k0 * (k0 - 1.0) / np.maximum(k1, 1e-6), dtype=np.float32)


def _chain(p: Sequence[FloatArray], points: Sequence[tuple[float, float, float, float]]) -> FloatArray:
    """Return the distance to a tube through points (x, y, z, radius), its radius changing evenly between them."""
    parts = []
    for first, second in itertools.pairwise(points):
        a, b = np.array(first[:3], dtype=float), np.array(second[:3], dtype=float)
        along = sum((coordinate - start) * d for coordinate, start, d in zip(p, a, b - a, strict=True))
        t = np.clip(along / float((b - a) @ (b - a)), 0.0, 1.0)
        squared = sum((coordinate - start - t * d) ** 2 for coordinate, start, d in zip(p, a, b - a, strict=True))
        parts.append(np.asarray(np.sqrt(squared) - (first[3] + t * (second[3] - first[3])), dtype=np.float32))
    joined = parts[0]
    for part in parts[1:]:
        joined = _smooth_min(joined, part, 2.0)
    return joined


def _smooth_min(a: FloatArray, b: FloatArray, width: float) -> FloatArray:
    """Return the union of two shapes, rounded over ``width`` mm where they meet."""
    h = np.maximum(width - np.abs(a - b), 0.0) / width
    return np.asarray(np.minimum(a, b) - h * h * (width / 4), dtype=np.float32)


def _smooth_max(a: FloatArray, b: FloatArray, width: float) -> FloatArray:
    return -_smooth_min(-a, -b, width)


def _ramp(values: FloatArray, low: float, high: float) -> FloatArray:
    t = np.clip((values - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), dtype=np.float32)


def _waves(
    p: Sequence[FloatArray], random: np.random.Generator, wavelength: float, count: int, spread: float = 0.3
) -> FloatArray:
    """Return smooth noise of mean 0 and variance 1/2: plane waves of random direction and phase about a wavelength."""
    direction = random.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    number = 2 * np.pi / (wavelength * random.uniform(1 - spread, 1 + spread, (count, 1)))
    phase = random.uniform(0, 2 * np.pi, count)
    total: FloatArray = np.zeros(np.broadcast_shapes(*(np.shape(c) for c in p)), np.float32)
    x, y, z = (np.asarray(c, dtype=np.float32) for c in p)
    for (kx, ky, kz), start in zip((number * direction).astype(np.float32), phase.astype(np.float32), strict=True):
        total += np.cos(kx * x + ky * y + kz * z + start)
    return total / np.float32(np.sqrt(count))
