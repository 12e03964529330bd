"""From a name or a folder to the encoder whose weights lie there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from featurestore.catalogue import Encoder
from featurestore.errors import InvalidInputError
from featurestore.files import read_json
from featurestore.identity import fingerprint
from ingest.encoders.base import Precision, StructureEncoder, TextEncoder
from ingest.weights.cache import cached_folder, weights_folder

CONFIG = "config.json"
#: Hand-made features: an encoder without weights.
MATMINER = "matminer"


_SETTINGS = {
    "structure": ("layer", "backend"),
    "text": ("layer", "pooling", "max_tokens", "special_tokens"),
}


def load_encoder(
    name: str,
    *,
    precision: Precision = "float32",
    device: str = "cpu",
    settings: Mapping[str, Any] | None = None,
) -> StructureEncoder | TextEncoder:
    """The encoder of pulled weights or of a user's folder.

    Parameters
    ----------
    name : str
        Name of pulled weights, or a folder with ``config.json`` and weights; a folder's name
        becomes the encoder's. ``matminer`` needs neither.
    precision : {"float32", "bfloat16"}
        Arithmetic of the encoder.
    device : str
        "cpu" or "cuda".
    settings : mapping, optional
        Other than the defaults: ``layer`` and ``backend`` of `load_alignn_encoder`, or ``layer``,
        ``pooling``, ``max_tokens`` and ``special_tokens`` of `load_bert_encoder`.

    Raises
    ------
    MissingDataError
        If the weights are known but not pulled; the message names the command.
    UnknownNameError
        If there are no such weights.
    InvalidInputError
        If the folder holds no configuration of an ALIGNN or BERT kind, or a setting is not one of
        this kind of encoder.
    """
    if name == MATMINER:
        from ingest.encoders.matminer import MatminerEncoder

        if settings or precision != "float32":
            raise InvalidInputError("the encoder 'matminer' takes no settings and no --precision")
        return MatminerEncoder()
    folder = weights_folder(name)
    short = name if folder == cached_folder(name) else folder.resolve().name
    kind = "structure" if _is_alignn(folder) else "text"
    given = dict(settings or {})
    for setting in given:
        if setting not in _SETTINGS[kind]:
            raise InvalidInputError(
                f"{name} encodes {kind}s: it takes no {setting}, only {', '.join(_SETTINGS[kind])}"
            )
    if kind == "structure":
        from ingest.encoders.alignn import load_alignn_encoder

        return load_alignn_encoder(folder, name=short, precision=precision, device=device, **given)
    from ingest.encoders.bert import load_bert_encoder

    if "layer" in given:
        given["layer"] = _layer_number(given["layer"])
    return load_bert_encoder(folder, name=short, precision=precision, device=device, **given)


def load_like(encoder: Encoder, weights: str | None = None) -> StructureEncoder | TextEncoder:
    """The encoder that made stored vectors, so that new ones can be compared with them.

    Parameters
    ----------
    encoder : Encoder
        As it is registered; its settings are those of its fingerprint.
    weights : str, optional
        Name or folder of its weights; default: its own name.

    Raises
    ------
    InvalidInputError
        If the weights give another encoder: its vectors could not be compared.
    MissingDataError, UnknownNameError
        If there are no such weights, or they are not pulled.
    """
    parts = encoder.fingerprint
    settings = {name: parts[name] for name in _SETTINGS[encoder.kind] if name in parts}
    named = weights or encoder.name
    loaded = load_encoder(
        named,
        precision=parts.get("precision", "float32"),
        device=parts.get("device", "cpu"),
        settings=settings,
    )
    # The name is no part of what makes a vector: the folder may be called anything.
    if fingerprint(dict(loaded.spec.fingerprint)) != fingerprint(parts):
        raise InvalidInputError(
            f"the weights {named!r} make {loaded.spec.encoder_id}, not {encoder.encoder_id}, whose "
            "vectors are stored: the two cannot be compared; name the weights it was made from "
            "with --weights, or another --encoder"
        )
    return loaded


def _layer_number(layer: str | int) -> int:
    try:
        return int(layer)
    except ValueError as error:
        raise InvalidInputError(
            f"the layer of a text encoder is a number, 0 the embeddings, -1 the last; got {layer!r}"
        ) from error


def _is_alignn(folder: Path) -> bool:
    """Whether the folder's configuration is ALIGNN's; else it is one of transformers'."""
    path = folder / CONFIG
    configs = [path] if path.is_file() else sorted(folder.rglob(CONFIG))
    if not configs:
        raise InvalidInputError(
            f"{folder} holds no {CONFIG}: a folder of weights needs it beside the weights"
        )
    config = read_json(configs[0])
    if isinstance(config, dict) and "model_type" in config:
        return False
    if isinstance(config, dict) and isinstance(config.get("model"), dict):
        return True
    raise InvalidInputError(
        f"{configs[0]} is neither an ALIGNN configuration (with 'model') nor one of transformers "
        "(with 'model_type')"
    )
