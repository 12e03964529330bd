"""PNG figures carry the ids of the models they show, so that they can be traced back."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from pathlib import Path

from featurestore.errors import InvalidInputError

_KEY = "featurestore.models"
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def figure_metadata(model_ids: Iterable[str]) -> dict[str, str]:
    """Text entries for a PNG that shows these models, as matplotlib's ``metadata`` takes them."""
    return {_KEY: json.dumps(sorted(set(model_ids)))}


def figure_models(path: Path) -> list[str]:
    """The ids of the models that a PNG written by this package shows.

    Only the file's text chunks are read (PNG specification, third edition, 11.3.3.2): no image is
    decoded.

    Raises
    ------
    InvalidInputError
        If the file cannot be read, is no PNG, or says nothing about models.
    """
    try:
        with path.open("rb") as file:
            if file.read(8) != _SIGNATURE:
                raise InvalidInputError(f"{path} is no PNG file")
            while len(head := file.read(8)) == 8:
                length, kind = struct.unpack(">I4s", head)
                if kind == b"tEXt":
                    key, _, text = file.read(length).partition(b"\0")
                    if key == _KEY.encode():
                        return _parsed(text, path)
                    file.seek(4, 1)
                else:
                    file.seek(length + 4, 1)
    except OSError as error:
        raise InvalidInputError(f"cannot read {path}: {error}") from error
    raise InvalidInputError(
        f"{path} does not say which models it shows; figures of featurestore train report and "
        "featurestore explain do, unless another program has saved them since"
    )


def _parsed(text: bytes, path: Path) -> list[str]:
    try:
        models = json.loads(text)
    except ValueError as error:
        raise InvalidInputError(f"{path}: its list of models is damaged: {error}") from error
    if not isinstance(models, list) or not all(isinstance(model, str) for model in models):
        raise InvalidInputError(f"{path}: its list of models is damaged")
    return models
