"""Targets from tables: CSV and its relatives, Excel, Parquet, JSON lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from featurestore.errors import InvalidInputError
from featurestore.output.progress import progress_bar
from featurestore.registry import PropertyRegistry, load_registry
from featurestore.store import FeatureStore
from ingest.recording import Ingested, ingested, recorded
from ingest.stages.plausibility import implausible_targets
from ingest.stages.targets import TargetFile, ingest_targets, stored_properties
from ingest.targets.columns import (
    ad_hoc_properties,
    columns_of,
    named_properties,
    parse_columns,
)
from ingest.targets.opening import open_table


def add_targets(
    store: FeatureStore,
    files: str | Path | Iterable[str | Path],
    *,
    id_column: str | None = None,
    columns: Mapping[str, str] | None = None,
    source: str | None = None,
    sheet: str | None = None,
    decimal: str = ".",
    property_registries: Sequence[str | Path] = (),
    replace: bool = False,
) -> Ingested:
    """Read targets from tables, for materials that are in the store.

    Parameters
    ----------
    store : FeatureStore
        Written to.
    files : path, or several
        Text with separators (CSV, TSV …), JSON lines, both also compressed, Parquet, or Excel.
    id_column : str, optional
        The column with the material ids; by default one called material_id, jid or id.
    columns : mapping of str to str, optional
        What columns hold whose names are no properties: a property, or ``NAME:UNIT`` for one that
        the registry lacks, as in ``{"band gap (eV)": "mbj_bandgap", "Td": "melting_point:K"}``.
    source : str, optional
        Recorded with the values; by default the data set of their materials.
    sheet : str, optional
        Of an Excel workbook; by default its only one.
    decimal : {".", ","}
        What stands before the decimals in text.
    property_registries : sequence of path
        TOML files with further properties, their units and ranges.
    replace : bool
        Whether targets that are stored with other values are replaced.

    Raises
    ------
    InvalidInputError
        If a file cannot be used; the message names it, and the line or column. Nothing is written.
    NothingSucceededError
        If every target failed.
    """
    paths = [Path(one) for one in ([files] if isinstance(files, str | Path) else files)]
    registries = tuple(Path(path) for path in property_registries)
    given = dict(columns or {})
    arguments = {
        "files": tuple(paths),
        "id_column": id_column,
        "columns": tuple(f"{column}={meant}" for column, meant in given.items()),
        "source": source,
        "sheet": sheet,
        "decimal": None if decimal == "." else decimal,
        "registries": registries,
        "replace": replace,
    }
    with recorded(store, "targets", arguments, paths) as run:
        registry = known_properties(store, load_registry(*registries), given)
        opened = [
            opened_targets(path, registry, id_column, given, sheet=sheet, decimal=decimal)
            for path in paths
        ]
        with progress_bar(None, "targets", "rows") as progress:
            outcome, name = ingest_targets(
                store, opened, source=source, run=run, progress=progress, replace=replace
            )
        outcome.notes += implausible_targets(store, name, registry)
        return ingested(run, outcome)


def known_properties(
    store: FeatureStore, registry: PropertyRegistry, columns: Mapping[str, str]
) -> PropertyRegistry:
    """The registry, with what the store has beside it and what is given as ``NAME:UNIT``.

    Raises
    ------
    InvalidInputError
        If a property is given with another unit than it has.
    """
    with store.session() as session:
        stored = stored_properties(session)
    extended = registry.extended(one for one in stored if one.name not in registry)
    return extended.extended(ad_hoc_properties(columns))


def taken_fields(
    store: FeatureStore, fields: Sequence[str], registries: Sequence[str | Path]
) -> tuple[PropertyRegistry, dict[str, str]]:
    """The properties that there are, and which of them fields of other people's data are taken as.

    Parameters
    ----------
    fields : sequence of str
        Each ``FIELD=PROPERTY``, or ``FIELD=NAME:UNIT`` for a property of one's own.
    registries : sequence of path
        TOML files with further properties.

    Raises
    ------
    InvalidInputError, UnknownNameError
        As `parse_columns`, `known_properties` and `named_properties` do.
    """
    given = parse_columns(fields)
    registry = known_properties(store, load_registry(*map(Path, registries)), given)
    return registry, named_properties(given, registry)


def opened_targets(
    path: Path,
    registry: PropertyRegistry,
    id_column: str | None = None,
    columns: Mapping[str, str] | None = None,
    *,
    sheet: str | None = None,
    decimal: str = ".",
) -> TargetFile:
    """A file of targets, opened, its columns understood.

    Raises
    ------
    InvalidInputError, UnknownNameError
        As `open_table` and `columns_of` do.
    """
    if decimal not in (".", ","):
        raise InvalidInputError(f"decimals follow '.' or ','; got {decimal!r}")
    table = open_table(path, sheet)
    return TargetFile(table, columns_of(table, registry, id_column, columns), decimal)
