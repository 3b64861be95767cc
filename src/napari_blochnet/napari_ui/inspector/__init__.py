"""The voxel inspector."""
