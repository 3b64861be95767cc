"""What ``blochnet experiment`` runs: the paper's tables, and what goes beyond them."""
