"""What an encoder is: a spec that identifies every vector it makes, and a function over a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from featurestore.crystal import Crystal
from featurestore.errors import InvalidInputError
from featurestore.failure import Failure
from featurestore.identity import canonical_json, versioned_id
from featurestore.plugins import Part


@dataclass(frozen=True)
class Segment:
    """A named slice ``vector[start:stop]``, for example ALIGNN's pooled bond features."""

    name: str
    start: int
    stop: int


@dataclass(frozen=True)
class EncoderSpec:
    """The identity of an encoder and the layout of its vectors.

    Parameters
    ----------
    name : str
        The short name users type, for example ``"alignn-ff"``.
    kind : {"structure", "text"}
        What it encodes.
    dimension : int
        Length of a vector.
    segments : tuple of Segment
        Named slices that cover the vector without gap or overlap.
    fingerprint : mapping
        Everything that can change a vector: weights' SHA-256, layer, pooling, precision, maximum
        tokens, graph settings, versions that matter. JSON values only.

    Raises
    ------
    InvalidInputError
        If the segments do not cover the vector once, or the fingerprint is not JSON.
    """

    name: str
    kind: Literal["structure", "text"]
    dimension: int
    segments: tuple[Segment, ...]
    fingerprint: Mapping[str, Any] = field(repr=False)

    def __post_init__(self) -> None:
        bounds = [0, *(segment.stop for segment in self.segments)]
        starts = [*(segment.start for segment in self.segments), self.dimension]
        names = {segment.name for segment in self.segments}
        if (
            bounds != starts
            or bounds != sorted(set(bounds))
            or len(names) < len(self.segments)
            or not names
        ):
            parts = ", ".join(f"{one.name} [{one.start}:{one.stop}]" for one in self.segments)
            raise InvalidInputError(
                f"the segments of the encoder {self.name!r} do not cover its {self.dimension} "
                f"values once, each under a name of its own: {parts or 'there are none'}"
            )
        try:
            canonical_json(dict(self.fingerprint))
        except (TypeError, ValueError) as error:
            raise InvalidInputError(
                f"the fingerprint of the encoder {self.name!r} is not JSON: {error}"
            ) from error

    @property
    def encoder_id(self) -> str:
        """The name and ten digits of the fingerprint, for example ``alignn_ff_0f3a…``."""
        return versioned_id(self.name, dict(self.fingerprint))


Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class StructureVector:
    """The vector of one structure: float32, shape (dimension,)."""

    vector: npt.NDArray[np.float32]


@dataclass(frozen=True)
class TextVector:
    """The vector of one text: float32, shape (dimension,).

    ``n_tokens`` counts the tokens of the whole text, special tokens included and before
    truncation; ``truncated`` says whether some of them were cut off.
    """

    vector: npt.NDArray[np.float32]
    n_tokens: int
    truncated: bool


class StructureEncoder(Protocol):
    """Turns crystal structures into vectors; one bad structure does not lose the others."""

    spec: EncoderSpec

    def encode(self, crystals: Sequence[Crystal]) -> list[StructureVector | Failure]:
        """One result for each crystal, in order."""
        ...


class TextEncoder(Protocol):
    """Turns texts into vectors; one bad text does not lose the others."""

    spec: EncoderSpec

    def encode(self, texts: Sequence[str]) -> list[TextVector | Failure]:
        """One result for each text, in order."""
        ...


@dataclass(frozen=True, kw_only=True)
class EncoderPart(Part):
    """What a package declares about an encoder, under the entry points ``featurestore.encoders``.

    Parameters
    ----------
    kind : {"structure", "text"}
        What it encodes.
    recognises : callable, optional
        For an architecture, which is not used under its own name but reads a folder of weights:
        whether the content of the folder's ``config.json`` is one of its own. `Request.folder` is
        that folder.
    """

    kind: Literal["structure", "text"]
    recognises: Callable[[Mapping[str, Any]], bool] | None = None
