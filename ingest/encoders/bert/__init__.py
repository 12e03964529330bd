"""Encoders of the BERT family: a text's vector is the mean of a transformer's token vectors."""

from __future__ import annotations

from ingest.encoders.bert.encoder import load_bert_encoder

__all__ = ["load_bert_encoder"]
