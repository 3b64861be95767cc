"""What one viewer knows: layers' entries, schedule, pins, places, preferences."""
