"""Volumes that do not fit into memory: made, and mapped, part by part; what is finished stays if it is broken off."""
