"""Fingerprints as coefficients of a basis, and back."""
