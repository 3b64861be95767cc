"""Training networks, and adapting them without labels."""
