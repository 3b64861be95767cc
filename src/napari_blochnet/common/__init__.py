"""What every room stands on: errors, array types, progress, geometry; no knowledge of any room."""
