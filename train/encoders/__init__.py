"""Encoders that learn from the store: joint spaces, text source models, language models."""
