"""Named weights: where each lives, its checksum, and how it is fetched."""
