"""Coefficients of fingerprints: their bases in files, their conventions, and the way there and back."""
