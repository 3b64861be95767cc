"""Evaluation: maps against truth, tables, figures, reports."""
