"""What napari calls: readers, writers, samples, commands."""
