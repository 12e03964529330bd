"""Hand-made features as a structure encoder: what a learned vector has to beat."""
