"""Predictions without a part of the text: what is erased, what is missing, what is stored."""
