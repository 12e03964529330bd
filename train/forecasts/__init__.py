"""What models say of materials that have no target yet: predicted, bounded, scored later."""
