"""What learns from a training view: recipes, and the predictors that they make."""
