"""Published numbers that the page of a study shows beside its own."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featurestore.errors import InvalidInputError

_REMOVALS = ("property", "text_source", "tag", "model", "test_mae")


@dataclass(frozen=True)
class PublishedRemoval:
    """A published error after the sentences of a tag were erased.

    Parameters
    ----------
    property, text_source, tag, model : str
        ``tag`` is "none" for the full text.
    test_mae : float
        In the property's unit.
    """

    property: str
    text_source: str
    tag: str
    model: str
    test_mae: float


def read_removals(path: Path) -> list[PublishedRemoval]:
    """The rows of a CSV file with columns property, text_source, tag, model, test_mae.

    Raises
    ------
    InvalidInputError
        If it cannot be read, or lacks a column, or an error is no number.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in _REMOVALS if name not in (reader.fieldnames or ())]
            if missing:
                raise InvalidInputError(f"{path} lacks the column {', '.join(missing)}")
            return [
                PublishedRemoval(
                    **{name: row[name] for name in _REMOVALS[:-1]}, test_mae=float(row["test_mae"])
                )
                for row in reader
            ]
    except (OSError, UnicodeDecodeError, csv.Error, ValueError, TypeError) as error:
        raise InvalidInputError(f"cannot read {path}: {error}") from error


def change(removals: list[PublishedRemoval], name: str, source: str, tag: str) -> float | None:
    """The published change of the error without a tag, as a share of that with the full text."""
    found = {
        one.tag: one.test_mae
        for one in removals
        if one.property == name and one.text_source == source
    }
    if tag not in found or "none" not in found:
        return None
    return found[tag] / found["none"] - 1


def kind_of_features(tables: Mapping[str, Any], entry: str) -> tuple[str, str]:
    """What published rows call the features of an entry: their kind, and their text source.

    Two empty texts for features that published rows have no name for.
    """
    said = tables["features"].get(entry, {})
    if "inputs" in said:
        return "", ""
    parts = [tables["features"][name] for name in said.get("join", ())] or [said]
    structure = [part["structure"] for part in parts if "structure" in part]
    texts = [part["text"] for part in parts if "text" in part]
    if len(structure) > 1 or len(texts) > 1 or any("join" in part for part in parts):
        return "", ""
    kind = "+".join(["structure"] * bool(structure) + ["text"] * bool(texts))
    source = tables["texts"][texts[0]].get("source", texts[0]) if texts else ""
    return kind, source
