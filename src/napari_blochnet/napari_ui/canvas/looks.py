"""How quantities look: colour maps, limits, and where a volume lies on the canvas."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from napari.utils import Colormap

from napari_blochnet.common.arrays import FloatArray
from napari_blochnet.common.geometry import Geometry
from napari_blochnet.evaluation.drawing import image_parts
from napari_blochnet.evaluation.drawing.figure_style import COLOURMAPS, DIVERGING, OTHER_COLOURMAP, colour_table
from napari_blochnet.evaluation.drawing.image_parts import rows_run_up
from napari_blochnet.fingerprints.stack import FingerprintStack
from napari_blochnet.napari_ui.state.entries import Entry, is_derived

__all__ = [
    "REGION_COLOURS",
    "STYLES",
    "TISSUE_COLOURS",
    "Style",
    "colormap",
    "display_transform",
    "is_upright",
    "style_of",
]


@dataclass(frozen=True)
class Style:
    """How one quantity is drawn.

    Parameters
    ----------
    colormap : str
        Name in the package cmap.
    unit : str
    limits : tuple of float, optional
        Fixed contrast limits; None: from the values.
    """

    colormap: str
    unit: str
    limits: tuple[float, float] | None = None


STYLES = {
    "T1": Style(COLOURMAPS["T1"], "ms"),
    "T2": Style(COLOURMAPS["T2"], "ms"),
    "PD": Style("gray", ""),
    "signal": Style("gray", ""),
    "B1": Style(OTHER_COLOURMAP, "", (0.6, 1.4)),
    "T1 SE": Style("magma", "ms"),
    "T2 SE": Style("magma", "ms"),
    "residual": Style("magma", "", (0.0, 0.2)),
    "T1 error": Style(COLOURMAPS["T1 error"], "%"),
    "T2 error": Style(COLOURMAPS["T2 error"], "%"),
    "T1 difference": Style(COLOURMAPS["T1 error"], "%"),
    "T2 difference": Style(COLOURMAPS["T2 error"], "%"),
}
# Of what only a dictionary knows, and of what is different in it: in its unit.
_OTHER, _OTHER_DIFFERENCE = Style(OTHER_COLOURMAP, ""), Style(COLOURMAPS["T1 error"], "")


def style_of(role: str) -> Style:
    """Return how a quantity is drawn; those that only a dictionary knows have a look of their own."""
    return STYLES.get(role, _OTHER_DIFFERENCE if is_derived(role) else _OTHER)


# One colour per tissue; labels beyond them start again.
TISSUE_COLOURS = (
    "#4cc9f0", "#b8b8c8", "#f4f1de", "#f6bd60", "#e07a5f", "#f28482", "#d9cfc1", "#84a59d", "#9d4edd", "#e63946",
    "#8d99ae",
)  # fmt: skip
# Of painted regions: to be seen on dark and on light tissue, whatever the map.
REGION_COLOURS = ("#00e5ff", "#ff3dcb", "#b6ff3d", "#ffe14d", "#b28dff", "#ff8c42")


def display_transform(geometry: Geometry, *, upright: bool = True) -> tuple[FloatArray, FloatArray]:
    """Return scale and translation (z, y, x) in mm of a volume in the frame of its own voxels.

    Parameters
    ----------
    geometry : Geometry
        The true one, possibly oblique.
    upright : bool
        Whether the affine is known well enough to turn the image by it.
    """
    affine = np.asarray(geometry.affine)
    size = np.asarray(geometry.voxel_size)
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    # the scanner position of voxel 0, told along the voxel axes: sub-volumes of one volume stay where they were
    origin = np.linalg.solve(directions, affine[:3, 3])[::-1]
    turn = np.array([1.0, -1.0 if upright and rows_run_up(geometry.affine) else 1.0, 1.0])
    return size * turn, origin * turn


def is_upright(entry: Entry) -> bool:
    """Whether a layer's image may be turned by its affine."""
    # what lies on a stack stands as the stack does
    source = entry.subject if entry.stack is None else entry.stack
    is_stack = isinstance(source, FingerprintStack)
    return image_parts.is_upright(source.record, entry.subject.geometry, is_stack=is_stack)


@functools.cache
def colormap(name: str) -> Colormap:
    """Return a colour map in which voxels outside a mask are transparent.

    They hold exactly 0, as no others do; in a diverging map, whose 0 is a value as good as any, NaN, which napari
    leaves out of every map.
    """
    colours = colour_table(name).copy()
    if name not in DIVERGING:
        colours[0, 3] = 0.0
    return Colormap(colours, name=f"{name} (0 transparent)", display_name=name.split(":")[-1])
