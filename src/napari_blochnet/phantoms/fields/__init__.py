"""Fields in which phantoms lie: the transmit field."""
