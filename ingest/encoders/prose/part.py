"""The control of text encoders as a part: `prose-numbers`, which reads and understands nothing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

from featurestore.failure import Failure
from featurestore.plugins import Request
from ingest.encoders.base import EncoderPart, EncoderSpec, Segment, TextVector
from ingest.encoders.prose.reading import VERSION, labels, read


class ProseNumbers:
    """Values that regular expressions read from a text, float32."""

    def __init__(self, request: Request) -> None:
        names = labels()
        bounds = [0, *accumulate(map(len, names.values()))]
        self.spec = EncoderSpec(
            name=request.name,
            kind="text",
            dimension=bounds[-1],
            segments=tuple(
                Segment(name, start, stop)
                for name, (start, stop) in zip(names, pairwise(bounds), strict=True)
            ),
            fingerprint=request.fingerprint | {"features": names, "version": VERSION},
        )

    def encode(self, texts: Sequence[str]) -> list[TextVector | Failure]:
        """One vector for each text, in order; its tokens are its words, none cut."""
        return [TextVector(read(text), len(text.split()), False) for text in texts]


PROSE_NUMBERS = EncoderPart(
    name="prose-numbers",
    kind="text",
    summary="Elements, numbers and a few words read from a text by regular expressions: a control.",
    make=ProseNumbers,
    trained_on=(),
    licence="MIT",
)
