"""The BERT family as a part: the architecture of every folder that transformers configured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from featurestore.plugins import Request, Setting
from ingest.encoders.base import EncoderPart, TextEncoder
from ingest.encoders.settings import PRECISION, device


def _make(request: Request) -> TextEncoder:
    from ingest.encoders.bert.encoder import load_bert_encoder

    assert request.folder is not None
    return load_bert_encoder(request.folder, name=request.name, **request.settings)


def _recognises(config: Mapping[str, Any]) -> bool:
    return "model_type" in config


BERT = EncoderPart(
    name="bert",
    kind="text",
    summary="Pooled token vectors of a BERT or MPNet model of transformers.",
    make=_make,
    recognises=_recognises,
    licence="of the weights: featurestore models list",
    settings=(
        PRECISION,
        device(identity=False),
        Setting("layer", int, -1, "Pooled layer: 0 the embeddings, -1 the last."),
        Setting(
            "pooling",
            str,
            "mean",
            "The mean of the token vectors, or the first token's vector.",
            choices=("mean", "cls"),
        ),
        Setting("max_tokens", int, 512, "Tokens after which a text is cut, special ones included."),
        Setting("special_tokens", bool, True, "Whether the mean takes in the special tokens, too."),
    ),
)
