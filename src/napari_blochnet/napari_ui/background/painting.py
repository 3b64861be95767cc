"""Painting the canvas a few new visuals at a time.

A picture, a colour bar and a name are a dozen programs for the graphics card, and each is written, compiled and linked
when it is drawn for the first time: some 10 ms, all of them in one painting. Those that find no time in one painting
are left for the next.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

__all__ = ["few_new_visuals", "scene_canvas"]

# What new visuals may take of one painting, s; the first is drawn however long it takes.
_TIME = 0.03


def scene_canvas(window: object) -> Any:
    """Return vispy's canvas in a window of napari's, or None where there is none."""
    viewer = getattr(window, "_qt_viewer", None)
    return getattr(getattr(viewer, "canvas", None), "_scene_canvas", None)


@contextlib.contextmanager
def few_new_visuals(canvas: Any) -> Iterator[list[Any]]:
    """Let each drawing of a canvas draw new visuals for a short time only.

    Parameters
    ----------
    canvas : vispy.scene.SceneCanvas or None
        None: nothing is changed.

    Yields
    ------
    list
        The visuals that the last drawing has left out.
    """
    left_out: list[Any] = []
    if canvas is None:
        yield left_out
        return

    def draw_visual(scene: Any, event: Any = None) -> None:
        left_out.clear()
        taken = 0.0

        def draw(visual: Any) -> None:
            nonlocal taken
            if taken > _TIME:
                left_out.append(visual)
                return
            start = time.perf_counter()
            type(visual).draw(visual)
            # one that has nothing to show, such as an empty name, stays as it is
            if not visual._program._need_build:
                taken += time.perf_counter() - start

        new = list(_new_visuals(scene))
        for visual in new:
            visual.draw = partial(draw, visual)
        try:
            type(canvas).draw_visual(canvas, scene, event)
        finally:
            for visual in new:
                # a part that is a node of its own, too, is met twice
                vars(visual).pop("draw", None)

    canvas.draw_visual = draw_visual
    try:
        yield left_out
    finally:
        vars(canvas).pop("draw_visual", None)


def _new_visuals(node: Any) -> Iterator[Any]:
    """Yield what is seen below a node, or in a compound visual, and has a program that is not compiled yet."""
    if not node.visible:
        return
    parts = getattr(node, "_subvisuals", ())
    if getattr(getattr(node, "_program", None), "_need_build", False):
        yield node
    for part in (*parts, *getattr(node, "children", ())):
        yield from _new_visuals(part)
