"""What a schedule looks like."""
