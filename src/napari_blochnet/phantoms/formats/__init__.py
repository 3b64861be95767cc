"""Formats that phantoms are stored in, each to a volume with its place."""
