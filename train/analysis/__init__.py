"""What stored models and their predictions say: comparisons, groups, leakage, curves."""
