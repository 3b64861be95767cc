"""Results leave the window: as files, as Python, as commands, as recipes."""
