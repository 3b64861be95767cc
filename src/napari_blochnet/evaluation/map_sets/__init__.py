"""How sets of maps lie in folders."""
