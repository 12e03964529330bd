"""Colours, numbers and pages that the explanations share."""
