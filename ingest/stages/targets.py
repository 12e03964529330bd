"""Stage 1b: targets from tables into ``properties``, for materials that are in the store.

A file is read in batches; what is kept of it is a number for each known material and property. So
memory follows the store, and a file of ten million rows of other materials needs no more. Nothing
is written before the last row is read: a value that stands twice, and differently, is not stored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.errors import InvalidInputError
from featurestore.failure import Failure
from featurestore.output.progress import Progress
from featurestore.quoting import SQL
from featurestore.registry import Property
from featurestore.renames import MATERIAL, PROPERTY, names_now, renames
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from ingest.pipeline.failures import kept_failures
from ingest.pipeline.outcome import Outcome
from ingest.structures.opening import shown
from ingest.structures.readers.registry import stem_of
from ingest.targets.cells import has_other_decimals, may_be_thousands, parse_targets
from ingest.targets.columns import Columns, is_unit
from ingest.targets.table import Batch, Table

_ROWS_A_MERGE = 1_000_000
_FILES = 1 << 40  # a place is a file's number times this, and a row's


@dataclass(frozen=True)
class TargetFile:
    """A table and what its columns are.

    Parameters
    ----------
    table : Table
    columns : Columns
    decimal : {".", ","}
        What stands before the decimals in its text.
    """

    table: Table
    columns: Columns
    decimal: str = "."


def ingest_targets(
    store: FeatureStore,
    files: Sequence[TargetFile],
    *,
    source: str | None,
    run: Run,
    progress: Progress,
    replace: bool = False,
) -> tuple[Outcome, str]:
    """Write the targets of files.

    A row of another length, a material that the store does not know, a value that is no finite
    number and two values for one are failures; a value that the store has otherwise is one unless
    ``replace`` is given.

    Parameters
    ----------
    source : str, optional
        Recorded with the values; by default the data set of the materials that they belong to.

    Returns
    -------
    tuple of Outcome and str
        And the source.

    Raises
    ------
    InvalidInputError
        If no source is given and the materials are of several data sets; a file that breaks off
        or is damaged. Nothing is written then.
    """
    outcome = Outcome("targets")
    with store.session() as session:
        found = _Found(session)
    for number, file in enumerate(files):
        outcome.notes += [f"{shown(file.table.path)}: {note}" for note in file.columns.notes]
        outcome.notes += [f"{shown(file.table.path)}: {note}" for note in file.table.notes]
        _read(file, number, found, outcome, progress)
    found.refuse_contradicted(files, outcome)
    if source is None:
        source = _only_dataset(found, files)
        outcome.notes.append(
            f"their source is recorded as {source!r} (--source-name gives them another)"
        )
    failed_before = store.failed_items("targets", source)
    with kept_failures(store, "targets", source, outcome, run) as succeeded:
        for name, places in found.written():
            rows = found.rows(name, places, source, run)
            result = store.merge("properties", rows, replace=replace)
            outcome.written += result.written
            outcome.present += result.present
            for key in result.conflicts:
                outcome.fail(
                    f"{key['material_id']} {name}",
                    Failure(
                        "ConflictError",
                        f"the store has another value of {name} for {key['material_id']} from "
                        f"{source}; it stands (--replace replaces it)",
                    ),
                    "in the store",
                )
            if failed_before:
                items = (f"{one} {name}" for one in rows["material_id"].to_pylist())
                succeeded.update(item for item in items if item in failed_before)
    store.compact("properties")
    return outcome, source


@dataclass
class _Values:
    """Of one property, a number for each material of the store, NaN where there is none."""

    unit: str
    numbers: npt.NDArray[np.float64]
    places: npt.NDArray[np.int64]
    contradicted: dict[int, int] = field(default_factory=dict)


class _Found:
    """What has been read for the materials of a store."""

    def __init__(self, session: Session) -> None:
        known = session.query("SELECT material_id, dataset FROM materials ORDER BY material_id")
        self.ids = known["material_id"].combine_chunks()
        self.datasets = known["dataset"].combine_chunks().dictionary_encode()
        self.index = {name: place for place, name in enumerate(self.ids.to_pylist())}
        self.values: dict[str, _Values] = {}
        self.repeated = 0
        self._alike: dict[str, list[str]] = {}
        past = renames(session)
        self.materials_now = names_now(past, MATERIAL)
        self.properties_now = names_now(past, PROPERTY)

    def place_of(self, name: str) -> int:
        """The number of a material by its id, or by that without the suffix of a file; else -1."""
        if name in self.index or "." not in name:
            return self.index.get(name, -1)
        return self.index.get(stem_of(name), -1)

    def alike(self, name: str) -> str:
        """What an unknown id is called by now, or the one that differs in case or zeros alone."""
        if name in self.materials_now:
            return self.materials_now[name]
        if not self._alike:
            for known in self.index:
                self._alike.setdefault(_folded(known), []).append(known)
        near = self._alike.get(_folded(name), [])
        return near[0] if len(near) == 1 else ""

    def take_out(self, target: Property, material: int, place: int) -> bool:
        """Whether a value was of this place; it is no more."""
        values = self.of(target)
        if values.places[material] != place or np.isnan(values.numbers[material]):
            return False
        values.numbers[material] = np.nan
        return True

    def of(self, target: Property) -> _Values:
        if target.name not in self.values:
            count = len(self.ids)
            self.values[target.name] = _Values(
                target.unit, np.full(count, np.nan), np.zeros(count, np.int64)
            )
        return self.values[target.name]

    def add(
        self,
        target: Property,
        materials: npt.NDArray[np.int64],
        numbers: npt.NDArray[np.float64],
        places: npt.NDArray[np.int64],
    ) -> None:
        """Keep the first value of each material, and which are contradicted by a later one."""
        values = self.of(target)
        new = np.isnan(values.numbers[materials])
        _, first = np.unique(materials[new], return_index=True)
        first = np.flatnonzero(new)[first]
        values.numbers[materials[first]] = numbers[first]
        values.places[materials[first]] = places[first]
        others = np.ones(len(materials), bool)
        others[first] = False
        differs = others & (values.numbers[materials] != numbers)
        self.repeated += int(others.sum() - differs.sum())
        for row in np.flatnonzero(differs):
            values.contradicted.setdefault(int(materials[row]), int(places[row]))

    def refuse_contradicted(self, files: Sequence[TargetFile], outcome: Outcome) -> None:
        """Take out the values of which there are two that differ."""
        for name, values in self.values.items():
            for material, place in values.contradicted.items():
                first, later = _place(files, int(values.places[material])), _place(files, place)
                outcome.fail(
                    f"{self.ids[material]} {name}",
                    Failure(
                        "ConflictError",
                        f"{self.ids[material]} has two values of {name}, in {first} and in "
                        f"{later}; neither is stored: remove one",
                    ),
                    later,
                )
                values.numbers[material] = np.nan
        if self.repeated:
            outcome.notes.append(f"{self.repeated:,} cells repeat a value that stands before")

    def written(self) -> Iterator[tuple[str, npt.NDArray[np.int64]]]:
        """Property by property the materials that have a value, some at a time."""
        for name, values in self.values.items():
            there = np.flatnonzero(~np.isnan(values.numbers))
            for start in range(0, len(there), _ROWS_A_MERGE):
                yield name, there[start : start + _ROWS_A_MERGE]

    def rows(self, name: str, materials: npt.NDArray[np.int64], source: str, run: Run) -> pa.Table:
        """Their rows of ``properties``."""
        values, count = self.values[name], len(materials)
        return pa.table(
            {
                "material_id": self.ids.take(pa.array(materials)),
                "property": pa.repeat(name, count),
                "source": pa.repeat(source, count),
                "value": pa.array(values.numbers[materials]),
                "unit": pa.repeat(values.unit, count),
                "run_id": pa.repeat(run.run_id, count),
            }
        )

    def datasets_of_values(self) -> list[str]:
        """The data sets of the materials that have a value."""
        there = np.zeros(len(self.ids), bool)
        for values in self.values.values():
            there |= ~np.isnan(values.numbers)
        used = np.unique(self.datasets.indices.to_numpy()[there])
        return [self.datasets.dictionary[int(code)].as_py() for code in used]


def _read(
    file: TargetFile, number: int, found: _Found, outcome: Outcome, progress: Progress
) -> None:
    columns, table = file.columns, file.table
    where = shown(table.path)
    without_suffix, example, values = 0, "", 0
    mixed: set[str] = set()
    for part, batch in enumerate(table.batches([columns.ids, *columns.targets])):
        for row, reason in batch.refused.items():
            place = f"{where}, {table.place} {row}"
            outcome.fail(place, Failure("RaggedRowError", f"{place}: {reason}"), place)
        names = [_id(cell) for cell in batch.columns[columns.ids]]
        materials = np.array([found.index.get(name, -1) for name in names], dtype=np.int64)
        for row in np.flatnonzero(materials < 0).tolist():
            materials[row] = found.place_of(names[row])
            if materials[row] >= 0:
                without_suffix += 1
                example = example or names[row]
        for column, target in columns.targets.items():
            numbers, refused = parse_targets(batch.columns[column], file.decimal, target.unit)
            values += int((~np.isnan(numbers)).sum()) + len(refused)
            cells = [batch.columns[column][row] for row in refused]
            if not part and 0 in refused:
                _check_first(file, batch, column, names[0])
            if any(has_other_decimals(cell, file.decimal) for cell in cells):
                mixed.add(column)
            _refuse(file, batch, column, refused, names, outcome)
            outcome.fail_all(
                "UnknownMaterial",
                np.flatnonzero(~np.isnan(numbers) & (materials < 0)).tolist(),
                partial(_unknown, file, batch, names, target.name, found, outcome),
            )
            kept = np.flatnonzero(~np.isnan(numbers) & (materials >= 0))
            places = np.asarray(batch.numbers, dtype=np.int64)[kept] + number * _FILES
            found.add(target, materials[kept], numbers[kept], places)
        progress.update(len(names) + len(batch.refused))
    outcome.notes += [
        f"{where}: {target.name} has been renamed, it is {found.properties_now[target.name]} now: "
        f"--column {column!r}={found.properties_now[target.name]} takes these values as that"
        for column, target in columns.targets.items()
        if target.name in found.properties_now
    ]
    if mixed:
        _refuse_thousands(file, number, mixed, found, outcome)
    if without_suffix:
        outcome.notes.append(
            f"{where}: {without_suffix:,} ids matched without their suffix, for example {example}"
        )
    if not values:
        outcome.notes.append(
            f"{where}: no cell of {', '.join(map(repr, columns.targets))} has a value"
        )


def _refuse(
    file: TargetFile,
    batch: Batch,
    column: str,
    refused: dict[int, Failure],
    names: Sequence[str],
    outcome: Outcome,
) -> None:
    name = file.columns.targets[column].name
    for row, failure in refused.items():
        place = f"{shown(file.table.path)}, {file.table.place} {batch.numbers[row]}"
        outcome.fail(
            f"{names[row]} {name}",
            Failure(failure.error, f"{place}, column {column!r}: {failure.message}"),
            place,
        )


def _check_first(file: TargetFile, batch: Batch, column: str, name: str) -> None:
    """Refuse a file whose first row is a second one of names: units, or parts of a merged cell.

    Raises
    ------
    InvalidInputError
    """
    cell = batch.columns[column][0]
    if isinstance(cell, str) and (is_unit(cell) or not name):
        raise InvalidInputError(
            f"{shown(file.table.path)}, {file.table.place} {batch.numbers[0]} has {cell[:40]!r} "
            f"where {column!r} should have a number: a second row of names or units? Write one row "
            "of names, with the units in them as in 'gap (eV)', and remove this one"
        )


def _refuse_thousands(
    file: TargetFile, number: int, mixed: set[str], found: _Found, outcome: Outcome
) -> None:
    """Take out what may be thousands: ``1.234`` in a column where decimals follow a comma."""
    other = "comma" if file.decimal == "." else "point"
    columns, table = file.columns, file.table
    for batch in table.batches([columns.ids, *sorted(mixed)]):
        names = [_id(cell) for cell in batch.columns[columns.ids]]
        for column in sorted(mixed):
            target = columns.targets[column]
            for row, cell in enumerate(batch.columns[column]):
                material = found.place_of(names[row])
                if material < 0 or not may_be_thousands(cell, file.decimal):
                    continue
                if found.take_out(target, material, batch.numbers[row] + number * _FILES):
                    why = Failure(
                        "InvalidTarget",
                        f"{cell.strip()!r} may be thousands, as other cells of its column have "
                        f"decimals behind a {other}: say --decimal {other}, or mend those",
                    )
                    _refuse(file, batch, column, {row: why}, names, outcome)


def _folded(name: str) -> str:
    return re.sub(r"\b0+(?=\d)", "", name.casefold())


def _unknown(
    file: TargetFile,
    batch: Batch,
    names: Sequence[str],
    name: str,
    found: _Found,
    outcome: Outcome,
    row: int,
) -> None:
    place = f"{shown(file.table.path)}, {file.table.place} {batch.numbers[row]}"
    material = names[row]
    what = f"the store has no material {material!r}" if material else "the row has no material id"
    if near := found.alike(material):
        what += f", it has {near!r}"
    outcome.fail(f"{material} {name}", Failure("UnknownMaterial", f"{place}: {what}"), place)


def _id(cell: object) -> str:
    if isinstance(cell, str):
        return cell.strip()
    if cell is None or isinstance(cell, bool):
        return ""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def _place(files: Sequence[TargetFile], place: int) -> str:
    number, row = divmod(place, _FILES)
    table = files[number].table
    return f"{table.place} {row} of {shown(table.path)}"


def _only_dataset(found: _Found, files: Sequence[TargetFile]) -> str:
    datasets = found.datasets_of_values()
    if len(datasets) > 1:
        raise InvalidInputError(
            f"the materials are of several data sets ({', '.join(datasets)}): name the source of "
            "the values with --source-name"
        )
    return datasets[0] if datasets else shown(files[0].table.path.stem)


def stored_properties(session: Session) -> list[Property]:
    """The properties of the store with their units; those with several units are left out."""
    rows = session.query(
        SQL(
            "SELECT property, min(unit) AS unit FROM properties GROUP BY property "
            "HAVING min(unit) = max(unit) ORDER BY property"
        )
    ).to_pylist()
    return [Property(row["property"], row["unit"]) for row in rows]
