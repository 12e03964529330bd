"""A lab's own vectors from a Parquet file, stored like those of an encoder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from featurestore.catalogue import OWN_VECTORS
from featurestore.errors import InvalidInputError
from featurestore.plugins import ENCODERS, part_names
from featurestore.quoting import identifier
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from featurestore.tables.schemas import embedding_table
from ingest.encoders.base import EncoderSpec, Segment
from ingest.pipeline.outcome import Outcome
from ingest.stages.embeddings import register_encoder
from ingest.weights.cache import find_weights
from ingest.weights.registry import registry

_ID_COLUMNS = ("material_id", "structure_id")
_SHOWN = 3


def ingest_vectors(
    store: FeatureStore,
    file: Path,
    *,
    name: str,
    column: str | None = None,
    trained_on: str | None = None,
    licence: str | None = None,
    run: Run,
) -> Outcome:
    """Store the vectors of structures that a Parquet file holds, under an encoder of that name.

    The encoder's fingerprint is the file's SHA-256 and column, and what is said of it: another
    file, also one with more rows, is another version of the encoder.

    Parameters
    ----------
    file : Path
        A Parquet file with a column ``material_id`` or ``structure_id`` and one of vectors: lists
        of one length, of floating-point or whole numbers. They are stored as float32.
    name : str
        Of the encoder.
    column : str, optional
        Of the vectors; default: the only column of lists.
    trained_on, licence : str, optional
        In words what the vectors were learnt from, and the terms they are used under.

    Returns
    -------
    Outcome
        Counts of structures; materials of one structure count once.

    Raises
    ------
    InvalidInputError
        If the file cannot be read or has no such columns; if an id is null, unknown to the store
        or there twice; if a vector is null, has another width than the first, or holds null, NaN
        or what float32 cannot hold; if materials of one structure have different vectors; or if
        the name is that of an encoder or of weights. Rows are named by their number, from 0.
    """
    if name in part_names(ENCODERS) or name in registry() or find_weights(name):
        raise InvalidInputError(
            f"{name!r} is the name of an encoder or of weights; call your vectors otherwise"
        )
    table, digest = _read(file)
    id_column, column = _columns(file, table, column)
    ids = _ids(file, table[id_column])
    vectors = _vectors(file, table[column], ids)
    with store.session() as session:
        structure_ids = _structures(file, session, id_column, ids)
        n_stored = session.query("SELECT count(DISTINCT structure_id) AS n FROM materials")["n"]
    rows = _one_each(file, structure_ids, ids, vectors)
    fingerprint: dict[str, Any] = {
        "part": OWN_VECTORS,
        "file_sha256": digest,
        "column": column,
    }
    said = {"trained_on": trained_on, "licence": licence}
    fingerprint |= {key: value for key, value in said.items() if value is not None}
    width = vectors.shape[1]
    spec = EncoderSpec(
        name=name,
        kind="structure",
        dimension=width,
        segments=(Segment("vector", 0, width),),
        fingerprint=fingerprint,
    )
    register_encoder(store, spec, run)
    written = _write(store, spec, rows, vectors, run)
    outcome = Outcome("structures with vectors", written=written, present=len(rows) - written)
    if lacking := n_stored[0].as_py() - len(rows):
        outcome.notes.append(f"{lacking:,} structures of the store have no vector in {file}")
    outcome.notes.append(f"encoder {spec.encoder_id}")
    return outcome


def _read(file: Path) -> tuple[pa.Table, str]:
    """The table and the SHA-256 of the very bytes that it was read from."""
    try:
        content = file.read_bytes()
        return pq.read_table(pa.BufferReader(content)), sha256(content).hexdigest()
    except (OSError, pa.ArrowException) as error:
        raise InvalidInputError(f"cannot read {file} as Parquet: {error}") from error


def _columns(file: Path, table: pa.Table, column: str | None) -> tuple[str, str]:
    """The names of the columns of ids and of vectors."""
    ids = [name for name in _ID_COLUMNS if name in table.column_names]
    if len(ids) != 1:
        raise InvalidInputError(
            f"{file} has {'both columns' if ids else 'neither column'} material_id and "
            f"structure_id; it needs one of them (its columns: {', '.join(table.column_names)})"
        )
    lists = [field.name for field in table.schema if _is_list(field.type)]
    if column is None and len(lists) != 1:
        raise InvalidInputError(
            f"{file} has {len(lists)} columns of lists{': ' if lists else ''}{', '.join(lists)}; "
            "name the column of vectors"
        )
    column = column or lists[0]
    if column not in table.column_names or column not in lists:
        kind = table.schema.field(column).type if column in table.column_names else None
        raise InvalidInputError(
            f"{file}: the column {column!r} "
            + (f"is of type {kind}, not of lists" if kind else "is not there")
        )
    values = table.schema.field(column).type.value_type
    if not (pa.types.is_floating(values) or pa.types.is_integer(values)):
        raise InvalidInputError(f"{file}: the vectors in {column!r} are of {values}, not numbers")
    return ids[0], column


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _ids(file: Path, column: pa.ChunkedArray) -> list[str]:
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise InvalidInputError(f"{file}: the ids are of type {column.type}, not text")
    if not len(column):
        raise InvalidInputError(f"{file} has no rows")
    ids = column.to_pylist()
    _refuse(file, "no id", [row for row, value in enumerate(ids) if not value])
    first: dict[str, int] = {}
    doubled = [row for row, value in enumerate(ids) if first.setdefault(value, row) != row]
    _refuse(file, "an id that an earlier row has", doubled, ids)
    return ids


def _vectors(file: Path, column: pa.ChunkedArray, ids: list[str]) -> npt.NDArray[np.float32]:
    """The vectors, float32, shape (n, width)."""
    _refuse(file, "no vector", _where(pc.is_null(column)), ids)
    lengths = pc.list_value_length(column)
    width = lengths[0].as_py()
    others = _where(pc.not_equal(lengths, width))
    _refuse(file, f"a vector of another width than the first's {width}", others, ids)
    if not width:
        raise InvalidInputError(f"{file}: the vectors have no values")
    # A null becomes NaN; what float32 cannot hold, an infinity.
    flat = pc.cast(pc.list_flatten(column), pa.float64(), safe=False)
    values = pc.fill_null(flat, float("nan")).to_numpy().reshape(-1, width)
    with np.errstate(over="ignore"):
        vectors = values.astype(np.float32)
    unusable = np.flatnonzero(~np.isfinite(vectors).all(axis=1)).tolist()
    _refuse(file, "a vector with null, NaN or a number beyond float32", unusable, ids)
    return vectors


def _structures(file: Path, session: Session, id_column: str, ids: list[str]) -> list[str]:
    """The structure of each row."""
    stored = session.query(
        f"SELECT DISTINCT {identifier(id_column)} AS id, structure_id FROM materials"
    )
    known = dict(zip(stored["id"].to_pylist(), stored["structure_id"].to_pylist(), strict=True))
    unknown = [row for row, value in enumerate(ids) if value not in known]
    _refuse(file, f"a {id_column} that the store does not have", unknown, ids)
    return [known[value] for value in ids]


def _one_each(
    file: Path, structure_ids: list[str], ids: list[str], vectors: npt.NDArray[np.float32]
) -> Mapping[str, int]:
    """A row for each structure; materials that share one must agree."""
    rows: dict[str, int] = {}
    for row, structure_id in enumerate(structure_ids):
        first = rows.setdefault(structure_id, row)
        if not np.array_equal(vectors[first], vectors[row]):
            raise InvalidInputError(
                f"{file}: {ids[first]} (row {first}) and {ids[row]} (row {row}) have one structure "
                "and different vectors; a vector belongs to a structure"
            )
    return rows


def _write(
    store: FeatureStore,
    spec: EncoderSpec,
    rows: Mapping[str, int],
    vectors: npt.NDArray[np.float32],
    run: Run,
) -> int:
    flat = pa.array(vectors[list(rows.values())].reshape(-1))
    table = pa.table(
        {
            "structure_id": list(rows),
            "vector": pa.FixedSizeListArray.from_arrays(flat, spec.dimension),
            "run_id": [run.run_id] * len(rows),
        }
    )
    return store.merge(embedding_table("structure", spec.encoder_id), table).written


def _where(mask: pa.ChunkedArray) -> list[int]:
    """The numbers of the rows for which it holds."""
    return np.flatnonzero(mask.to_numpy()).tolist()


def _refuse(file: Path, what: str, rows: list[int], ids: Iterable[str] = ()) -> None:
    """Raise if there are such rows, naming the first of them."""
    if not rows:
        return
    names = list(ids)
    shown = ", ".join(f"{row} ({names[row]})" if names else str(row) for row in rows[:_SHOWN])
    more = f" and {len(rows) - _SHOWN:,} more" if len(rows) > _SHOWN else ""
    raise InvalidInputError(
        f"{file}: {what} in row{'s' if len(rows) > 1 else ''} {shown}{more}; nothing was stored"
    )
