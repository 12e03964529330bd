"""The training room: predictors that read training views and write models and predictions."""
