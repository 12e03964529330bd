"""What is odd about a store's vectors and targets, or has changed: findings, never repairs."""
