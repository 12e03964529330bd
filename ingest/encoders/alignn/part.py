"""ALIGNN as a part: the architecture of every folder whose configuration has a ``model``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from featurestore.plugins import Request, Setting
from ingest.encoders.base import EncoderPart, StructureEncoder
from ingest.encoders.settings import PRECISION, device


def _make(request: Request) -> StructureEncoder:
    from ingest.encoders.alignn.encoder import load_alignn_encoder

    assert request.folder is not None
    return load_alignn_encoder(request.folder, name=request.name, **request.settings)


def _recognises(config: Mapping[str, Any]) -> bool:
    return "model_type" not in config and isinstance(config.get("model"), dict)


ALIGNN = EncoderPart(
    name="alignn",
    kind="structure",
    summary="Pooled atom, bond and angle features of a published ALIGNN model, or of your own.",
    make=_make,
    recognises=_recognises,
    licence="of the weights: featurestore models list",
    settings=(
        PRECISION,
        device(identity=True),
        Setting("layer", str, "last", "Pooled layer: last, embedding, alignn_1 …, gcn_1 …."),
        Setting(
            "backend",
            str,
            "torch",
            "What computes; dgl is the original model, for comparison, and slower.",
            choices=("torch", "dgl"),
            identity=False,
        ),
    ),
)
