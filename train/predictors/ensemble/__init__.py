"""Our predictor: an exact Gaussian process and a few small networks, blended and calibrated."""
