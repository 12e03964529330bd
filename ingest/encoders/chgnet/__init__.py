"""CHGNet as a structure encoder: what a universal potential knows of a crystal."""
