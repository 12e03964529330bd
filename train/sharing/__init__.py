"""Models that leave a store and come into another: files, cards, comparisons."""
