"""Saving what one viewer shows, and showing it again."""
