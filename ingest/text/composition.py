"""The control of text sources: the formula, and nothing that the structure adds to it."""

from __future__ import annotations

from collections import Counter
from functools import reduce
from math import gcd

from featurestore.crystal import Crystal
from ingest.text.base import GeneratorSpec, Sentence

SOURCE, TAG = "composition", "formula"


class Composition:
    """Describes a crystal by its reduced formula, elements in alphabetical order."""

    def __init__(self) -> None:
        self.spec = GeneratorSpec(SOURCE, {"wording": 1})

    def warm_up(self) -> None:
        """There is nothing to load."""

    def describe(self, crystal: Crystal) -> list[Sentence]:
        """One sentence."""
        counts = Counter(crystal.species)
        unit = reduce(gcd, counts.values())
        formula = "".join(
            symbol + (str(counts[symbol] // unit) if counts[symbol] > unit else "")
            for symbol in sorted(counts)
        )
        return [Sentence(f"The material is {formula}.", TAG, ())]
