"""Phantoms: tissue tables, fuzzy mixing, BrainWeb formats, maps, the built-in synthetic head."""
