"""The control of text encoders: what a regular expression reads from a description."""
