"""Structures and targets from tables with a structure in each row."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from featurestore.store import FeatureStore
from ingest.library.storing import Ended, check_limits, check_order, stored
from ingest.library.targets import taken_fields
from ingest.providers.columns import check_columns
from ingest.recording import Ingested, recorded
from ingest.structures.tables.files import table_files
from ingest.structures.tables.records import Taken, read_table, table_name


def add_table(
    store: FeatureStore,
    source: str | Path,
    *,
    structure: str | None = None,
    id: str | None = None,
    columns: Sequence[str] = (),
    limit: int | None = None,
    dataset: str | None = None,
    property_registries: Sequence[str | Path] = (),
    replace: bool = False,
    ordered: str | None = None,
) -> Ingested:
    """Read a Matbench or matminer data set, or a Hugging Face folder, row by row.

    Parameters
    ----------
    store : FeatureStore
        Written to.
    source : path
        A table as matminer writes it (``.json``, ``.json.gz``), a Parquet, Arrow or JSON-lines
        file, or a folder of them.
    structure, id : str, optional
        The columns of the structures (plain data or CIF text) and of the ids; by default those
        with a usual name.
    columns : sequence of str
        Columns that are taken as targets, each ``COLUMN=PROPERTY`` or ``COLUMN=NAME:UNIT``; those
        that are called as a property of the registry or the store are taken in any case.
    limit : int, optional
        Most rows.
    dataset : str, optional
        Name recorded for the data set, and as the targets' source; by default the file's.
    property_registries, replace, ordered
        As for `add_structures`.

    Raises
    ------
    InvalidInputError, UnknownNameError
        If the table or a column cannot be used.
    IncompleteError
        If the file is damaged; the rows before are stored.
    """
    check_limits(limit)
    check_order(ordered)
    registry, taken = taken_fields(store, columns, property_registries)
    path = Path(source).expanduser()
    name = dataset or table_name(path)
    arguments = {
        "source": path,
        "structure": structure,
        "id": id,
        "columns": tuple(columns),
        "limit": limit,
        "dataset": dataset,
        "registries": tuple(map(Path, property_registries)),
        "replace": replace,
        "ordered": ordered,
    }
    wanted = Taken(columns=taken, structure=structure, id=id, nearest_order=ordered is not None)
    ended = Ended()
    with recorded(store, "table", arguments, table_files(path)) as run:
        return stored(
            store,
            run,
            ended.up_to_an_error(islice(read_table(path, wanted), limit)),
            dataset=name,
            registry=registry,
            replace=replace,
            notes=check_columns(taken, (), lambda column: "", registry, path.name),
            stopped=lambda: ended.error,
        )
