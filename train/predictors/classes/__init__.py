"""Predictors of classes: what learns probabilities, and the sets of classes they calibrate."""
