"""How models are named, printed and drawn."""
