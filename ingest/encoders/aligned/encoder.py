"""The encoder of one side of a joint space: another encoder's vectors, projected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from featurestore.catalogue import Encoder
from featurestore.errors import InvalidInputError
from featurestore.failure import Failure
from featurestore.files import read_json
from ingest.encoders.aligned.head import WEIGHTS, Floats, Head, read_head
from ingest.encoders.base import EncoderSpec, Segment, StructureVector, TextVector
from ingest.encoders.schooling import schooling
from ingest.weights.cache import file_sha256

#: The key of ``config.json`` that tells such a folder, and that of the fingerprint which the two
#: encoders of a joint space share.
ALIGNED, SPACE = "aligned", "space"


class AlignedEncoder:
    """Encodes as its base encoder does, and projects the vector into the joint space.

    The base is loaded when something is to be encoded anew: stored vectors of it need only
    `project`.

    Attributes
    ----------
    spec : EncoderSpec
    base : Encoder
        Whose vectors are projected.
    """

    def __init__(self, spec: EncoderSpec, base: Encoder, head: Head, weights: str | None) -> None:
        self.spec, self.base = spec, base
        self._head, self._weights = head, weights
        self._loaded: Any = None

    def project(self, vectors: Floats) -> Floats:
        """Directions in the joint space, float32 (n, dimension), of the base's vectors."""
        return self._head(vectors)

    def encode(self, contents: Sequence[Any]) -> list[StructureVector | TextVector | Failure]:
        """One vector or failure for each structure or text, in order."""
        if self._loaded is None:
            # Not at the top: what loads encoders by name reads this module's part.
            from ingest.encoders.load import load_like

            self._loaded = load_like(self.base, self._weights)
        return [self._projected(result) for result in self._loaded.encode(contents)]

    def _projected(
        self, result: StructureVector | TextVector | Failure
    ) -> StructureVector | TextVector | Failure:
        if isinstance(result, Failure):
            return result
        (vector,) = self.project(result.vector[None])
        if not np.isfinite(vector).all():
            return Failure("NonFiniteVector", "the projection of the vector has no direction")
        if isinstance(result, TextVector):
            return TextVector(vector, result.n_tokens, result.truncated)
        return StructureVector(vector)


def load_aligned_encoder(
    folder: Path, *, name: str, kind: Literal["structure", "text"], base: str = ""
) -> AlignedEncoder:
    """The encoder whose ``config.json`` and projection are in ``folder``.

    Parameters
    ----------
    folder : Path
        As `train align` wrote it.
    name : str
        The encoder's name in the store.
    kind : {"structure", "text"}
        Which side.
    base : str
        Name or folder of the base encoder's weights, where they are not under its name.

    Raises
    ------
    InvalidInputError
        If the files are damaged or do not belong together.
    """
    path = folder / "config.json"
    config = read_json(path)
    said = config.get(ALIGNED) if isinstance(config, dict) else None
    try:
        if not isinstance(said, Mapping) or said["kind"] != kind:
            raise InvalidInputError(f"{path} is of no encoder that projects {kind} vectors")
        told = said["base"]
        encoder = Encoder(
            encoder_id=str(told["encoder_id"]),
            name=str(told["name"]),
            kind=kind,
            dimension=int(told["dimension"]),
            segments=(),
            fingerprint=dict(told["fingerprint"]),
        )
        dimension, space = int(said["dimension"]), str(said[SPACE])
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInputError(f"{path} lacks what the encoder is made of: {error!r}") from error
    head = read_head(folder, encoder.dimension, dimension)
    spec = EncoderSpec(
        name=name,
        kind=kind,
        dimension=dimension,
        segments=(Segment(SPACE, 0, dimension),),
        fingerprint={
            "part": f"aligned-{kind}",
            "weights_sha256": file_sha256(folder / WEIGHTS),
            "projected_from": encoder.encoder_id,
            SPACE: space,
            **schooling(config),
        },
    )
    return AlignedEncoder(spec, encoder, head, base or None)
