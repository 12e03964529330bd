"""A whole study from one file: what it says, what of it is missing, what is made, one page."""
