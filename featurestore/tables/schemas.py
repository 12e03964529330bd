"""The Arrow schema and the key of every table; the only place where columns are declared."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa

from featurestore.errors import UnknownNameError

STRUCTURE_EMBEDDINGS = "structure_embeddings__"
TEXT_EMBEDDINGS = "text_embeddings__"

_TIMESTAMP = pa.timestamp("us", tz="UTC")
_NAMES = pa.list_(pa.string())


@dataclass(frozen=True)
class TableSchema:
    """Columns, key and merge rule of one table.

    Parameters
    ----------
    name : str
        Name of the table; an embedding table carries its encoder's id after ``__``.
    key : tuple of str
        Columns that identify a row.
    schema : pyarrow.Schema
        Columns; a field that is not nullable may hold no null.
    content : tuple of str
        Columns in which a second row with the same key must agree with the first. Elsewhere the
        row that is there stands: an embedding repeated in another batch differs by float noise.
    """

    name: str
    key: tuple[str, ...]
    schema: pa.Schema
    content: tuple[str, ...] = ()


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


def _strings(*names: str) -> list[pa.Field]:
    return [_required(name, pa.string()) for name in names]


# Of a property of classes, whose targets and predictions are places of classes: the probability of
# each class, and the names of those in the set that holds 90 % of the targets.
_OF_CLASSES = (
    pa.field("probabilities", pa.list_(pa.float64())),
    pa.field("class_set", _NAMES),
)

_TABLES = (
    TableSchema(
        "materials",
        ("material_id",),
        pa.schema(
            [
                *_strings("material_id", "structure_id", "dataset", "source_file"),
                *_strings("formula", "prototype"),
                _required("n_atoms", pa.int32()),
                _required("volume", pa.float64()),
                _required("space_group_number", pa.int32()),
                *_strings("space_group", "crystal_system", "point_group"),
                _required("lattice", pa.list_(pa.float64(), 9)),
                _required("species", _NAMES),
                _required("frac_coords", pa.list_(pa.float64())),
                *_strings("run_id"),
                # what was not plain in reading the structure, each "kind: sentence"
                pa.field("notes", _NAMES),
            ]
        ),
        content=("structure_id",),
    ),
    TableSchema(
        "properties",
        ("material_id", "property", "source"),
        pa.schema(
            [
                *_strings("material_id", "property", "source"),
                _required("value", pa.float64()),
                *_strings("unit", "run_id"),
            ]
        ),
        content=("value", "unit"),
    ),
    TableSchema(
        "property_rules",
        ("property", "version"),
        pa.schema(
            [
                *_strings("property"),
                _required("version", pa.int32()),
                *_strings("way"),
                _required("sources", _NAMES),
                _required("tolerance", pa.float64()),
                # as it stands in place of a source
                *_strings("rule"),
                _required("created_at", _TIMESTAMP),
                *_strings("run_id"),
            ]
        ),
        content=("rule",),
    ),
    TableSchema(
        "splits",
        ("split", "property", "material_id"),
        pa.schema(_strings("split", "property", "material_id", "fold", "run_id")),
        content=("fold",),
    ),
    TableSchema(
        "split_versions",
        ("split", "property", "version"),
        pa.schema(
            [
                *_strings("split", "property"),
                _required("version", pa.int32()),
                *_strings("rule"),
                _required("materials", pa.int64()),
                _required("created_at", _TIMESTAMP),
                *_strings("run_id"),
            ]
        ),
        content=("rule", "materials", "run_id"),
    ),
    TableSchema(
        "duplicates",
        ("structure_id",),
        pa.schema(_strings("structure_id", "group_id", "matcher", "run_id")),
        content=("group_id", "matcher"),
    ),
    TableSchema(
        "generators",
        ("generator_id",),
        pa.schema(
            [
                *_strings("generator_id", "source"),
                _required("tags", _NAMES),
                _required("reference_tags", _NAMES),
                *_strings("fingerprint"),
                _required("created_at", _TIMESTAMP),
                *_strings("run_id"),
            ]
        ),
    ),
    TableSchema(
        "sentences",
        ("structure_id", "generator_id", "position"),
        pa.schema(
            [
                *_strings("structure_id", "generator_id"),
                _required("position", pa.int32()),
                *_strings("tag"),
                _required("reference_tags", _NAMES),
                *_strings("sentence", "run_id"),
            ]
        ),
    ),
    TableSchema(
        "renderings",
        ("text_id",),
        pa.schema(_strings("text_id", "structure_id", "generator_id", "variant", "run_id")),
    ),
    TableSchema(
        "encoders",
        ("encoder_id",),
        pa.schema(
            [
                *_strings("encoder_id", "name", "kind"),
                _required("dimension", pa.int32()),
                _required(
                    "segments",
                    pa.list_(
                        pa.struct(
                            [
                                _required("name", pa.string()),
                                _required("start", pa.int32()),
                                _required("stop", pa.int32()),
                            ]
                        )
                    ),
                ),
                *_strings("fingerprint"),
                _required("created_at", _TIMESTAMP),
                *_strings("run_id"),
            ]
        ),
    ),
    TableSchema(
        "standings",
        ("id",),
        pa.schema(
            [
                *_strings("id", "standing", "reason"),
                _required("changed_at", _TIMESTAMP),
                *_strings("run_id"),
            ]
        ),
        content=("standing", "reason"),
    ),
    TableSchema(
        "failures",
        ("stage", "item", "context"),
        pa.schema(_strings("stage", "item", "context", "error", "message", "run_id")),
        content=("error", "message", "run_id"),
    ),
    TableSchema(
        "runs",
        ("run_id",),
        pa.schema(
            [
                *_strings("run_id", "command", "arguments", "versions", "status"),
                _required("pid", pa.int64()),
                _required("started_at", _TIMESTAMP),
                pa.field("ended_at", _TIMESTAMP),
                pa.field("git_commit", pa.string()),
                pa.field("counts", pa.string()),
                pa.field("message", pa.string()),
                pa.field("host", pa.string()),
                # the version of each table that it has written to
                pa.field("tables", pa.string()),
            ]
        ),
        content=("status", "arguments"),
    ),
    TableSchema(
        "removals",
        ("kind", "name"),
        pa.schema(
            [
                *_strings("kind", "name"),
                # the models that had learned from it or predicted it
                _required("models", _NAMES),
                _required("removed_at", _TIMESTAMP),
                *_strings("run_id"),
            ]
        ),
        content=("run_id",),
    ),
    TableSchema(
        "renames",
        ("run_id", "kind", "old"),
        pa.schema(
            [
                *_strings("kind", "old", "new"),
                # of which a source is renamed; empty for everything else
                *_strings("property"),
                # the models that had learned from it or predicted it, and go on saying the old name
                _required("models", _NAMES),
                _required("renamed_at", _TIMESTAMP),
                *_strings("run_id"),
            ]
        ),
    ),
    TableSchema(
        "quarantine",
        ("digest",),
        pa.schema(
            [
                *_strings("digest", "table", "key", "problem"),
                # the row as an Arrow IPC stream
                _required("content", pa.large_binary()),
                _required("moved_at", _TIMESTAMP),
                *_strings("run_id"),
            ]
        ),
    ),
    TableSchema(
        "snapshots",
        ("name",),
        pa.schema(
            [
                *_strings("name", "message"),
                _required("created_at", _TIMESTAMP),
                _required(
                    "versions",
                    pa.list_(
                        pa.struct(
                            [
                                _required("table", pa.string()),
                                _required("version", pa.int64()),
                                _required("rows", pa.int64()),
                            ]
                        )
                    ),
                ),
                *_strings("run_id"),
            ]
        ),
        content=("run_id",),
    ),
    TableSchema(
        "feature_sets",
        ("name", "version"),
        pa.schema(
            [
                *_strings("name"),
                _required("version", pa.int32()),
                _required("features", _NAMES),
                _required("written", _NAMES),
                *_strings("description", "fingerprint"),
                _required("created_at", _TIMESTAMP),
                *_strings("run_id"),
            ]
        ),
        content=("fingerprint",),
    ),
    TableSchema(
        "models",
        ("model_id",),
        pa.schema(
            [
                *_strings("model_id", "predictor", "property", "unit", "features"),
                *[
                    pa.field(name, pa.string())
                    for name in ("generator_id", "structure_encoder", "text_encoder")
                ],
                *_strings("variant", "split"),
                _required("seed", pa.int64()),
                *_strings("settings", "view_parameters", "view_sql", "view_fingerprint"),
                *_strings("metrics"),
                _required(
                    "history",
                    pa.list_(
                        pa.struct(
                            [
                                _required("epoch", pa.int32()),
                                _required("train_mae", pa.float64()),
                                _required("val_mae", pa.float64()),
                            ]
                        )
                    ),
                ),
                _required("weights", pa.large_binary()),
                _required("created_at", _TIMESTAMP),
                *_strings("run_id"),
                # where the features are "combined"; the condition that narrows the view
                pa.field("inputs", _NAMES),
                *[pa.field(name, pa.string()) for name in ("feature_set", "view_where")],
            ]
        ),
    ),
    TableSchema(
        "predictions",
        ("model_id", "material_id"),
        pa.schema(
            [
                *_strings("model_id", "material_id", "fold"),
                _required("target", pa.float64()),
                _required("prediction", pa.float64()),
                *_strings("run_id"),
                # of predictors that know their uncertainty; the interval holds 90 % of the targets
                *[pa.field(name, pa.float64()) for name in ("std", "lower", "upper")],
                *_OF_CLASSES,
            ]
        ),
        content=("fold", "target", "prediction"),
    ),
    TableSchema(
        "forecasts",
        ("material_id", "group_id", "inputs_sha256"),
        pa.schema(
            [
                *_strings("material_id", "group_id", "inputs_sha256", "structure_id"),
                *_strings("property", "unit", "view_fingerprint"),
                # the models of the group; the features as they resolve, with encoders' ids
                _required("model_ids", _NAMES),
                _required("inputs", _NAMES),
                _required("prediction", pa.float64()),
                *[pa.field(name, pa.float64()) for name in ("std", "lower", "upper")],
                _required("of_seeds", pa.list_(pa.float64())),
                *_strings("calibration"),
                # to the training materials: in their own usual distances, and as a percentile
                *[pa.field(name, pa.float64()) for name in ("distance", "percentile")],
                _required("nearest", _NAMES),
                _required("unseen", _NAMES),
                _required("had_target", pa.bool_()),
                _required("created_at", _TIMESTAMP),
                *_strings("run_id"),
                *_OF_CLASSES,
            ]
        ),
        content=("prediction",),
    ),
    TableSchema(
        "imported_models",
        ("model_id",),
        pa.schema(
            [
                *_strings("model_id", "group_id", "file_sha256", "metadata"),
                # what the models know of their training materials, safetensors bytes
                _required("content", pa.large_binary()),
                _required("created_at", _TIMESTAMP),
                *_strings("run_id"),
            ]
        ),
        content=("file_sha256",),
    ),
    TableSchema(
        "erasures",
        ("model_id", "method", "variant", "material_id"),
        pa.schema(
            [
                *_strings("model_id", "method", "variant", "material_id", "text_id"),
                _required("target", pa.float64()),
                _required("prediction", pa.float64()),
                _required("erased_prediction", pa.float64()),
                *_strings("run_id"),
            ]
        ),
        content=("text_id", "target", "prediction", "erased_prediction"),
    ),
    TableSchema(
        "effects",
        ("explanation_id", "subset", "part", "measure"),
        pa.schema(
            [
                *_strings("explanation_id", "method"),
                _required("model_ids", _NAMES),
                *_strings("view_fingerprint", "parameters"),
                _required("seed", pa.int64()),
                *_strings("subset", "part", "measure"),
                _required("position", pa.int32()),
                _required("n", pa.int32()),
                _required("value", pa.float64()),
                *[pa.field(name, pa.float64()) for name in ("low", "high", "p", "p_holm", "std")],
                *_strings("unit", "run_id"),
            ]
        ),
        content=("value", "low", "high", "p", "p_holm"),
    ),
)

TABLES: dict[str, TableSchema] = {table.name: table for table in _TABLES}


def _structure_embeddings(name: str, dimension: int) -> TableSchema:
    fields = [
        *_strings("structure_id"),
        _required("vector", pa.list_(pa.float32(), dimension)),
        *_strings("run_id"),
    ]
    return TableSchema(name, ("structure_id",), pa.schema(fields))


def _text_embeddings(name: str, dimension: int) -> TableSchema:
    fields = [
        *_strings("text_id"),
        _required("vector", pa.list_(pa.float32(), dimension)),
        _required("n_tokens", pa.int32()),
        _required("truncated", pa.bool_()),
        *_strings("run_id"),
    ]
    return TableSchema(name, ("text_id",), pa.schema(fields))


def embedding_table(kind: str, encoder_id: str) -> str:
    """Name of the table that holds one encoder's vectors; ``kind`` is "structure" or "text"."""
    return {"structure": STRUCTURE_EMBEDDINGS, "text": TEXT_EMBEDDINGS}[kind] + encoder_id


def table_schema(name: str, dimension: int | None = None) -> TableSchema:
    """The schema of a table by name; an embedding table also needs its vectors' width.

    Raises
    ------
    UnknownNameError
        If the design has no table of that name.
    """
    if name in TABLES:
        return TABLES[name]
    for prefix, make in (
        (STRUCTURE_EMBEDDINGS, _structure_embeddings),
        (TEXT_EMBEDDINGS, _text_embeddings),
    ):
        if re.fullmatch(prefix + r"[a-z0-9_]+", name) and dimension is not None:
            return make(name, dimension)
    raise UnknownNameError("table", name, TABLES)
