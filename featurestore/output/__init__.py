"""What leaves the store for people: rows, figures and progress."""
