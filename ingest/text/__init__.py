"""Generators that describe structures in words, and the taggers of their sentences."""
