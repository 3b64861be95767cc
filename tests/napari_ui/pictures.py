"""Take pictures of every tab and of the inspector: ``python tests/napari_ui/pictures.py OUT [THEME WIDTH HEIGHT]``."""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from scenes import open_window, scenes

VIEWS = [(theme, size) for theme in ("dark", "light") for size in ((1280, 800), (1920, 1080))]


def main(out: Path, views: list[tuple[str, tuple[int, int]]]) -> None:
    """Write one PNG per scene, theme and size, with few colours."""
    out.mkdir(parents=True, exist_ok=True)
    for theme, size in views:
        viewer, workbench = open_window(size, theme)
        for name in scenes(viewer, workbench):
            pixels = viewer.screenshot(canvas_only=False, flash=False)
            path = out / f"{name.lower()}-{theme}-{size[0]}x{size[1]}.png"
            Image.fromarray(pixels).convert("RGB").quantize(256).save(path, optimize=True)
            print(path, flush=True)
        viewer.close()


if __name__ == "__main__":
    chosen = [(sys.argv[2], (int(sys.argv[3]), int(sys.argv[4])))] if len(sys.argv) == 5 else VIEWS
    main(Path(sys.argv[1]), chosen)
