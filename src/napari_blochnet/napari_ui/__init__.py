"""The napari face: session, layers, workers, panels, voxel inspector."""
