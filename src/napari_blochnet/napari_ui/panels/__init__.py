"""The tabs of the workbench."""
