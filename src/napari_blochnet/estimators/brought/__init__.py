"""Dictionaries that others made, in files: atoms with a table of what each was simulated with."""
