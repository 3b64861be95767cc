"""Schedules: the Schedule, its generators, its file formats."""
