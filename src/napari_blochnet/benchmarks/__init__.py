"""What ``blochnet benchmark`` runs."""
