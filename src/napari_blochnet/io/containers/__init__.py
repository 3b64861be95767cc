"""Files that hold several arrays, below the formats of the field: HDF5, NumPy."""
