"""What each word of one text adds to its prediction."""
