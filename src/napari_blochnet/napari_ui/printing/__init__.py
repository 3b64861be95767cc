"""Figures for a paper, asked for in the window and drawn by the core."""
