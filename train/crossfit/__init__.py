"""Cross-validation as the training itself: out-of-fold predictions, and CV+ for few materials."""
