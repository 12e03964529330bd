"""From a name or a folder to the encoder whose weights lie there."""

from __future__ import annotations

import json
from pathlib import Path

from featurestore.errors import InvalidInputError
from ingest.encoders.base import Precision, StructureEncoder, TextEncoder
from ingest.weights.cache import cached_folder, weights_folder

CONFIG = "config.json"


def load_encoder(
    name: str, *, precision: Precision = "float32", device: str = "cpu"
) -> StructureEncoder | TextEncoder:
    """The encoder of pulled weights or of a user's folder.

    Parameters
    ----------
    name : str
        Name of pulled weights, or a folder with ``config.json`` and weights; a folder's name
        becomes the encoder's.
    precision : {"float32", "bfloat16"}
        Arithmetic of the encoder.
    device : str
        "cpu" or "cuda".

    Raises
    ------
    MissingDataError
        If the weights are known but not pulled; the message names the command.
    UnknownNameError
        If there are no such weights.
    InvalidInputError
        If the folder holds no configuration of an ALIGNN or BERT kind.
    """
    folder = weights_folder(name)
    short = name if folder == cached_folder(name) else folder.resolve().name
    if _is_alignn(folder):
        from ingest.encoders.alignn import load_alignn_encoder

        return load_alignn_encoder(folder, name=short, precision=precision, device=device)
    from ingest.encoders.bert import load_bert_encoder

    return load_bert_encoder(str(folder), name=short, precision=precision, device=device)


def _is_alignn(folder: Path) -> bool:
    """Whether the folder's configuration is ALIGNN's; else it is one of transformers'."""
    path = folder / CONFIG
    configs = [path] if path.is_file() else sorted(folder.rglob(CONFIG))
    if not configs:
        raise InvalidInputError(
            f"{folder} holds no {CONFIG}: a folder of weights needs it beside the weights"
        )
    try:
        config = json.loads(configs[0].read_text("utf-8"))
    except ValueError as error:
        raise InvalidInputError(f"{configs[0]} is not JSON: {error}") from error
    if isinstance(config, dict) and "model_type" in config:
        return False
    if isinstance(config, dict) and isinstance(config.get("model"), dict):
        return True
    raise InvalidInputError(
        f"{configs[0]} is neither an ALIGNN configuration (with 'model') nor one of transformers "
        "(with 'model_type')"
    )
