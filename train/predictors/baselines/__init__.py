"""What a learned predictor has to beat: constants, and trees on hand-made features."""
