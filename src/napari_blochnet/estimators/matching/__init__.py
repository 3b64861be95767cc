"""Dictionary matching: grid, atoms, subspace, exact search."""
