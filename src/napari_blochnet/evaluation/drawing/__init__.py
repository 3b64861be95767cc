"""Figures of maps, errors, regions and voxels, drawn without a display."""
