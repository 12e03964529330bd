"""ALIGNN structure encoders: exact graphs, checkpoints of every kind, pooled features."""

from ingest.encoders.alignn.encoder import AlignnEncoder, load_alignn_encoder

__all__ = ["AlignnEncoder", "load_alignn_encoder"]
