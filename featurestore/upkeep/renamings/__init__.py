"""What bears the name of a material, data set, property, source or split, and what it becomes."""
