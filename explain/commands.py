"""The commands that make what an explanation lacks, as lists of words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from featurestore.catalogue import Encoder

_SINGLE = re.compile(r"(without|mask):(word|sentence):\d+")


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


def shortened(variants: Iterable[str]) -> list[str]:
    """Variants with single words or sentences replaced by ``without:word:each`` and so on.

    >>> shortened(["without:word:0", "without:word:1", "without:bond length"])
    ['without:word:each', 'without:bond length']
    """
    found: list[str] = []
    for variant in variants:
        match = _SINGLE.fullmatch(variant)
        found.append(f"{match[1]}:{match[2]}:each" if match else variant)
    return list(dict.fromkeys(found))


def with_variants(command: Sequence[str], variants: Iterable[str]) -> list[str]:
    """A command with each variant as an option."""
    return [*command, *(word for variant in variants for word in ("--variant", variant))]
