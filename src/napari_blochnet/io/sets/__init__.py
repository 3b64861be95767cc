"""Sets of files that are written, and read, as one."""
