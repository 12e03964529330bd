"""Encoders without a model whose vectors tell what they encode, and which note their calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from featurestore.crystal import Crystal
from featurestore.failure import Failure
from ingest.encoders.base import EncoderSpec, Segment, StructureVector, TextVector


def crystal_vector(crystal: Crystal) -> npt.NDArray[np.float32]:
    """The edges of the cell and the number of atoms."""
    edges = np.linalg.norm(crystal.lattice, axis=1)
    return np.array([*edges, crystal.n_atoms], dtype=np.float32)


def text_vector(text: str) -> npt.NDArray[np.float32]:
    """The text's length and its number of words and full stops."""
    return np.array([len(text), len(text.split()), text.count(".")], dtype=np.float32)


class FakeEncoder:
    """Calls ``before(values)`` on each call and gives ``spoil(value)`` where that is not None."""

    def __init__(
        self,
        kind: str,
        *,
        dimension: int | None = None,
        before: Callable[[Sequence[Any]], None] = lambda values: None,
        spoil: Callable[[Any], Any] = lambda value: None,
    ) -> None:
        dimension = dimension or (4 if kind == "structure" else 3)
        segments = (Segment("first", 0, 1), Segment("rest", 1, dimension))
        self.spec = EncoderSpec(f"fake-{kind}", kind, dimension, segments, {"kind": kind})
        self.calls: list[list[Any]] = []
        self._before, self._spoil = before, spoil

    def encode(self, values: Sequence[Any]) -> list[StructureVector | TextVector | Failure]:
        self.calls.append(list(values))
        self._before(values)
        return [self._one(value) for value in values]

    def _one(self, value: Any) -> StructureVector | TextVector | Failure:
        spoilt = self._spoil(value)
        if isinstance(spoilt, Failure):
            return spoilt
        if isinstance(value, Crystal):
            return StructureVector(crystal_vector(value) if spoilt is None else spoilt)
        vector = text_vector(value) if spoilt is None else spoilt
        return TextVector(vector, n_tokens=len(value.split()) + 2, truncated=len(value) > 40)
