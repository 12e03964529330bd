"""What is asked: training views, from a request to an array."""
