"""The two sides of a joint space as parts: the folders that `train align` writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from featurestore.plugins import Request, Setting
from ingest.encoders.base import EncoderPart


def _part(kind: Literal["structure", "text"]) -> EncoderPart:
    def make(request: Request) -> Any:
        from ingest.encoders.aligned.encoder import load_aligned_encoder

        assert request.folder is not None
        return load_aligned_encoder(
            request.folder, name=request.name, kind=kind, **request.settings
        )

    def recognises(config: Mapping[str, Any]) -> bool:
        said = config.get("aligned")
        return isinstance(said, Mapping) and said.get("kind") == kind

    return EncoderPart(
        name=f"aligned-{kind}",
        kind=kind,
        summary=f"Vectors of a {kind} encoder, projected into a joint space by 'train align'.",
        make=make,
        recognises=recognises,
        licence="of the vectors it learned from",
        settings=(
            Setting(
                "base",
                str,
                "",
                "Name or folder of the base encoder's weights, if not under its name.",
                identity=False,
            ),
        ),
    )


ALIGNED_STRUCTURE, ALIGNED_TEXT = _part("structure"), _part("text")
