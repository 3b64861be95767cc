"""Jobs: every operation as one function with one settings model, its record and its recipe."""
