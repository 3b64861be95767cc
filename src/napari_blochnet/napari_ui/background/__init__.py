"""Threads, and changes of the window in steps."""
