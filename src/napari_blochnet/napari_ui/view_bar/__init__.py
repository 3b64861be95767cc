"""What the bar below the workbench opens: colour limits, and three planes at once."""
