"""Estimators: from fingerprints to tissue parameters."""
