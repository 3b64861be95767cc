"""Undersampled k-space: trajectories, coils, gridded frames, and coefficient images by iterative reconstruction."""
