"""ALIGNN trained on the store's own structures: from scratch, or as a source of embeddings."""
