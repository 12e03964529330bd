"""scikit-learn's regressors by name, kept as plain arrays."""
