"""Fusion by attention across the parts of the features."""
