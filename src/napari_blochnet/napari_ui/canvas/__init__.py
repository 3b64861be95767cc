"""What is drawn on napari's canvas: layers, looks, grid, marks."""
