"""What a model loses without a part of its features."""
