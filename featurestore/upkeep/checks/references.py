"""Checks between tables: whatever is referred to is there, and every run has its end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from featurestore.quoting import SQL, identifier
from featurestore.session import Session
from featurestore.tables.schemas import STRUCTURE_EMBEDDINGS, TABLES, TEXT_EMBEDDINGS, table_schema
from featurestore.upkeep.checks.finding import RESTORE, Finding, command_for, example, removable


@dataclass(frozen=True)
class _Reference:
    """Rows of ``table`` for which ``dangling`` holds refer to something that is not there."""

    table: str
    what: str
    dangling: SQL
    # What commands leave in the ordinary course of things: a replaced structure's texts, the
    # predictions of a training that was killed before it wrote its model.
    leftover: str | None = None


def _lacks(column: str, table: str, key: str | None = None) -> SQL:
    of, there = identifier(column), identifier(key or column)
    return SQL(
        f"{of} IS NOT NULL AND {of} NOT IN "
        f"(SELECT {there} FROM {identifier(table)} WHERE {there} IS NOT NULL)"
    )


_REPLACED = "nothing needs doing: they belong to structures that --replace has replaced"
_REFERENCES = (
    _Reference("properties", "targets of unknown materials", _lacks("material_id", "materials")),
    _Reference("splits", "folds of unknown materials", _lacks("material_id", "materials")),
    _Reference(
        "sentences", "sentences of an unknown generator", _lacks("generator_id", "generators")
    ),
    _Reference(
        "sentences",
        "sentences of structures that no material has",
        _lacks("structure_id", "materials"),
        _REPLACED,
    ),
    _Reference(
        "renderings", "renderings by an unknown generator", _lacks("generator_id", "generators")
    ),
    _Reference(
        "models",
        "models without predictions",
        # what an imported model was tested on is in another store
        SQL(f"{_lacks('model_id', 'predictions')} AND {_lacks('model_id', 'imported_models')}"),
    ),
    _Reference("models", "models of an unknown generator", _lacks("generator_id", "generators")),
    _Reference(
        "models",
        "models of an unknown structure encoder",
        _lacks("structure_encoder", "encoders", "encoder_id"),
    ),
    _Reference(
        "models",
        "models of an unknown text encoder",
        _lacks("text_encoder", "encoders", "encoder_id"),
    ),
    _Reference(
        "predictions",
        "predictions without a model",
        _lacks("model_id", "models"),
        "an interrupted training left them; the same featurestore train command completes it",
    ),
    _Reference(
        "predictions", "predictions for unknown materials", _lacks("material_id", "materials")
    ),
    _Reference(
        "forecasts",
        "forecasts for materials that are gone",
        _lacks("material_id", "materials"),
        "nothing needs doing: a forecast is a record of what was said",
    ),
    _Reference("imported_models", "what is known of absent models", _lacks("model_id", "models")),
    _Reference("erasures", "erasures of unknown models", _lacks("model_id", "models")),
    _Reference("erasures", "erasures of unknown materials", _lacks("material_id", "materials")),
    _Reference(
        "erasures",
        "erasures of texts without a vector",
        # a model of the structure alone has read no text
        SQL(f"text_id <> '' AND {_lacks('text_id', 'text_embedding_keys')}"),
    ),
)


def check_references(session: Session) -> Iterator[Finding]:
    """Rows that refer to a material, generator, encoder, model or text that is not there."""
    for reference in _REFERENCES:
        yield from _dangling(session, reference, TABLES[reference.table].key)
    registered = session.query("SELECT encoder_id FROM encoders")["encoder_id"].to_pylist()
    for table in session.versions:
        if not table.startswith((STRUCTURE_EMBEDDINGS, TEXT_EMBEDDINGS)):
            continue
        # of an encoder that was removed the table stays, empty: snapshots stand on its versions
        if table.split("__", 1)[1] not in registered and _has_rows(session, table):
            yield Finding(table, "belongs to an encoder that is not registered", RESTORE)
        if table.startswith(STRUCTURE_EMBEDDINGS):
            orphans = _Reference(
                table,
                "vectors of structures that no material has",
                _lacks("structure_id", "materials"),
                _REPLACED,
            )
            yield from _dangling(session, orphans, table_schema(table, 1).key)


def _has_rows(session: Session, table: str) -> bool:
    dataset = session.dataset(table)
    return dataset is not None and dataset.count_rows() > 0


def _dangling(session: Session, reference: _Reference, key: tuple[str, ...]) -> Iterator[Finding]:
    columns = SQL(", ".join(map(identifier, key)))
    rows = session.query(
        f"SELECT {columns} FROM {identifier(reference.table)} WHERE {reference.dangling} "
        "ORDER BY ALL"
    )
    if not rows.num_rows:
        return
    if reference.leftover is None:
        yield removable(
            reference.table, reference.what, rows, command_for(session, reference.table)
        )
    else:
        yield Finding(
            reference.table,
            f"{rows.num_rows:,} {reference.what}, for example {example(rows)}",
            reference.leftover,
            wrong=False,
        )


def check_runs(session: Session) -> Iterator[Finding]:
    """Rows whose run is not on record, and runs that were cut off."""
    for table in session.versions:
        dataset = session.dataset(table)
        if table == "runs" or dataset is None or "run_id" not in dataset.schema.names:
            continue
        unknown = session.query(
            f"SELECT run_id, count(*) AS n FROM {identifier(table)} "
            "WHERE run_id NOT IN (SELECT run_id FROM runs WHERE run_id IS NOT NULL) "
            "GROUP BY ALL ORDER BY ALL"
        )
        if unknown.num_rows:
            yield Finding(
                table,
                f"rows of {unknown.num_rows} runs that are not on record, for example "
                + example(unknown),
                RESTORE,
            )
