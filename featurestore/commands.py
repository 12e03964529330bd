"""The commands that make what is missing, as lists of words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from featurestore.catalogue import Encoder


def encoding_command(encoder: Encoder, source: str) -> list[str]:
    """``featurestore ingest embeddings`` for an encoder of texts with all its settings."""
    of = encoder.fingerprint
    words = ["featurestore", "ingest", "embeddings", "--encoder", encoder.name, "--source", source]
    if of.get("precision", "float32") != "float32":
        words += ["--precision", of["precision"]]
    if of.get("pooling", "mean") != "mean":
        words += ["--pooling", of["pooling"]]
    if of.get("max_tokens", 512) != 512:
        words += ["--max-tokens", str(of["max_tokens"])]
    layers = of.get("architecture", {}).get("num_hidden_layers")
    if of.get("layer", layers) != layers:
        words += ["--layer", str(of["layer"])]
    return words


def with_variants(command: Sequence[str], variants: Iterable[str]) -> list[str]:
    """A command with each variant as an option."""
    return [*command, *(word for variant in variants for word in ("--variant", variant))]
