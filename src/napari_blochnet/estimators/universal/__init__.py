"""The universal estimator: any schedule, continuous, without training."""
