"""Fitting by the physics, and how well its answers can be known."""
