"""Files of figures: PNG, SVG and PDF, which name the models they show so that they can be traced.

A PNG has a text entry for it, an SVG its description, a PDF its keywords.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from featurestore.errors import InvalidInputError
from featurestore.output.rows import atomic_path
from featurestore.output.style import figure_style

if TYPE_CHECKING:
    from featurestore.output.figure import Figure

#: What a figure's file may end in.
FIGURE_SUFFIXES = (".png", ".svg", ".pdf")

_KEY = "featurestore.models"
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SVG_DESCRIPTION = re.compile(rb"<dc:description>" + _KEY.encode() + rb" (.*?)</dc:description>")
_PDF_KEYWORDS = re.compile(rb"/Keywords \(" + _KEY.encode() + rb" ((?:[^\\()]|\\.)*)\)")


def check_figure_path(path: Path) -> None:
    """Raise unless a figure can be written there.

    Raises
    ------
    InvalidInputError
        If the file's name ends in no format of figures.
    """
    if path.suffix.lower() not in FIGURE_SUFFIXES:
        raise InvalidInputError(
            f"a figure is a PNG, SVG or PDF file: name one that ends in "
            f"{', '.join(FIGURE_SUFFIXES[:-1])} or {FIGURE_SUFFIXES[-1]}, not {path}"
        )


def write_figure(figure: Figure, path: Path, *, tight: bool = True) -> None:
    """Write a figure, with the ids of the models it shows, whole or not at all.

    Parameters
    ----------
    figure : Figure
        What to write.
    path : Path
        A .png, .svg or .pdf file.
    tight : bool
        Whether the image is cut to what is drawn.

    Raises
    ------
    InvalidInputError
        If the file's name ends in something else.
    StorageError
        If the file cannot be written.
    """
    check_figure_path(path)
    kind = path.suffix.lower().removeprefix(".")
    models = json.dumps(sorted(set(figure.models)))
    said: dict[str, dict[str, Any]] = {
        "png": {_KEY: models},
        "svg": {"Description": f"{_KEY} {models}", "Date": None},
        "pdf": {"Keywords": f"{_KEY} {models}", "CreationDate": None},
    }
    with atomic_path(path) as temporary, figure_style():
        figure.savefig(
            temporary, format=kind, bbox_inches="tight" if tight else None, metadata=said[kind]
        )


def figure_models(path: Path) -> list[str]:
    """The ids of the models that a figure written by this package shows.

    Of a PNG only the text chunks are read (PNG specification, third edition, 11.3.3.2): no image
    is decoded.

    Raises
    ------
    InvalidInputError
        If the file cannot be read, is no figure, or says nothing about models.
    """
    read = _READERS.get(path.suffix.lower(), _png_text)
    try:
        with path.open("rb") as file:
            text = read(file, path)
    except OSError as error:
        raise InvalidInputError(f"cannot read {path}: {error}") from error
    if text is None:
        raise InvalidInputError(
            f"{path} does not say which models it shows; figures of featurestore train report and "
            "featurestore explain do, unless another program has saved them since"
        )
    return _parsed(text, path)


def _png_text(file: BinaryIO, path: Path) -> bytes | None:
    if file.read(8) != _SIGNATURE:
        raise InvalidInputError(f"{path} is no PNG file")
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"tEXt":
            key, _, text = file.read(length).partition(b"\0")
            if key == _KEY.encode():
                return text
            file.seek(4, 1)
        else:
            file.seek(length + 4, 1)
    return None


def _svg_text(file: BinaryIO, path: Path) -> bytes | None:
    # The description stands before all that is drawn.
    found = _SVG_DESCRIPTION.search(file.read(1 << 20))
    return unescape(found[1].decode("utf-8", "replace")).encode() if found else None


def _pdf_text(file: BinaryIO, path: Path) -> bytes | None:
    found = _PDF_KEYWORDS.search(file.read())
    return re.sub(rb"\\(.)", rb"\1", found[1]) if found else None


_READERS: dict[str, Callable[[BinaryIO, Path], bytes | None]] = {
    ".svg": _svg_text,
    ".pdf": _pdf_text,
}


def _parsed(text: bytes, path: Path) -> list[str]:
    try:
        models = json.loads(text)
    except ValueError as error:
        raise InvalidInputError(f"{path}: its list of models is damaged: {error}") from error
    if not isinstance(models, list) or not all(isinstance(model, str) for model in models):
        raise InvalidInputError(f"{path}: its list of models is damaged")
    return models
