"""What a model loses without a kind of sentence."""
