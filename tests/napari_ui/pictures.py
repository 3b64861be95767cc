"""Take pictures of every tab and of the inspector: python tests/napari_ui/pictures.py FOLDER [SCENE ...].

Each in napari's dark and light theme, at 1280 × 800 and 1920 × 1080. Needs a display; without one, under
``xvfb-run -a -s "-screen 0 1920x1080x24"``.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

SIZES = ((1280, 800), (1920, 1080))
THEMES = ("dark", "light")


def take_pictures(folder: Path, names: tuple[str, ...] = ()) -> list[Path]:
    """Write ``<scene>-<theme>-<width>.png`` for these scenes; none named: for all of them."""
    import napari
    import qtpy
    from PIL import Image
    from pytestqt.qt_compat import qt_api
    from pytestqt.qtbot import QtBot
    from scenes import PANELS, Stage

    from conftest import Desk

    qt_api.set_qt_api(qtpy.API)
    viewer = napari.Viewer(show=True)
    stage = Stage(Desk(viewer, QtBot(None)))
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in names or PANELS:
        for theme in THEMES:
            viewer.theme = theme
            for width, height in SIZES:
                stage.resize(width, height)
                stage.show(name)
                path = folder / f"{name.lower()}-{theme}-{width}.png"
                pixels = viewer.screenshot(canvas_only=False, flash=False)
                Image.fromarray(pixels).convert("RGB").save(path, optimize=True)
                written.append(path)
    viewer.close()
    return written


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as own:
        # nobody's settings change the pictures, and the pictures change nobody's settings or models
        os.environ |= {"NAPARI_CONFIG": f"{own}/settings.yaml", "XDG_DATA_HOME": f"{own}/data"}
        from napari import settings

        settings._CFG_PATH = f"{own}/settings.yaml"
        for file in take_pictures(Path(sys.argv[1]), tuple(sys.argv[2:])):
            print(file)
