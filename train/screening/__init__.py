"""Choosing among candidates by several properties at once, and how well such choices do."""
