"""Which estimator a mapping means."""
