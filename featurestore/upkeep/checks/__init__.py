"""What `featurestore verify` looks at: readability, keys, content hashes, vectors, references."""
