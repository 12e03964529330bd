"""ALIGNN structure encoders: exact graphs, checkpoints of every kind, pooled features."""
