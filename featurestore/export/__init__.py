"""Training views as folders for other programs, each with a data card."""
