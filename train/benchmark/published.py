"""Published errors that are shown beside one's own, from a CSV file."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from featurestore.errors import InvalidInputError
from featurestore.views.request import FEATURES, GRAPH, ViewRequest
from train.benchmark.grid import MATMINER

_COLUMNS = ("property", "features", "text_source", "model", "test_mae")
#: How many materials it was trained and tested on, where the file says it.
_COUNTS = ("n_train", "n_test")


@dataclass(frozen=True)
class Published:
    """One published error.

    Parameters
    ----------
    property, features, text_source : str
        Which of our rows it stands beside; ``features`` may be ``matminer`` or ``graph``, too.
        ``text_source`` is empty without text, and may be for any.
    model : str
        What the publication calls it.
    test_mae : float
        In the property's unit.
    n_train, n_test : int or None
        Materials; None where it is not said.
    """

    property: str
    features: str
    text_source: str
    model: str
    test_mae: float
    n_train: int | None = None
    n_test: int | None = None

    def stands_beside(self, request: ViewRequest) -> bool:
        """Whether it is of the same property, features and text source."""
        hand_made = request.structure_encoder == MATMINER and request.features == "structure"
        return (
            self.property == request.property
            and self.features == (MATMINER if hand_made else request.features)
            and self.text_source in ("", request.text_source)
        )


def read_published(path: Path) -> list[Published]:
    """The rows of a CSV file with columns property, features, text_source, model, test_mae.

    It may have n_train and n_test, too.

    Raises
    ------
    InvalidInputError
        If the file cannot be read, lacks a column, or a row has no such features or no number.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise InvalidInputError(
                    f"{path} lacks the column {', '.join(missing)}; its columns are "
                    f"{', '.join(_COLUMNS)}"
                )
            return [_parsed(path, reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInputError(f"cannot read {path}: {error}") from error


def _parsed(path: Path, line: int, row: dict[str, str]) -> Published:
    values = {name: (row[name] or "").strip() for name in _COLUMNS}
    known = (*FEATURES, MATMINER, GRAPH)
    if values["features"] not in known:
        raise InvalidInputError(
            f"{path}, line {line}: features are {', '.join(known)}; got {values['features']!r}"
        )
    try:
        mae = float(values.pop("test_mae"))
    except ValueError as error:
        raise InvalidInputError(f"{path}, line {line}: test_mae is no number") from error
    n_train, n_test = (_count(path, line, name, row.get(name)) for name in _COUNTS)
    return Published(
        values["property"],
        values["features"],
        values["text_source"],
        values["model"],
        mae,
        n_train,
        n_test,
    )


def _count(path: Path, line: int, name: str, given: str | None) -> int | None:
    said = (given or "").strip()
    if said and not said.isdecimal():
        raise InvalidInputError(f"{path}, line {line}: {name} is no whole number")
    return int(said) if said else None
