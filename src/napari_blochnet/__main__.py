"""``python -m napari_blochnet`` is the command ``blochnet``."""

from napari_blochnet.cli.main import main

main()
