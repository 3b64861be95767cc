"""Pulseq files: sequences as they are played, read as schedules."""
