"""The benchmark: a grid of models on equal materials, compared with intervals and paired tests."""
