"""Fingerprint stacks: samples, schedule, mask, geometry; noise; file formats."""
