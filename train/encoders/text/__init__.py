"""Models of the BERT family that learn from the sentences of a store."""
