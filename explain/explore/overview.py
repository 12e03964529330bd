"""The store as a whole: what it holds and lacks, what is odd, what was done, how it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from explain.explore.engine import Engine
from explain.explore.sessions import Source
from featurestore.history.lineage import model_lineage
from featurestore.history.nodes import Node
from featurestore.quality.all_checks import check_quality
from featurestore.quality.coverage import coverage
from featurestore.quality.finding import as_table
from featurestore.redaction import redacted
from featurestore.registry import load_registry
from featurestore.summary import summarise

#: Pages that are one table, and what each says.
TABLES = {
    "coverage": "How many materials have each property, text and vector, and what fills the gaps.",
    "quality": "Vectors and targets that someone should look at.",
    "runs": "The commands that have written to the store, the newest first.",
    "failures": "What could not be done, and why.",
    "snapshots": "Named states of the store; 'featurestore explore --at NAME' shows one.",
}
_MOST_RUNS = 500
# As many rows as one answer may have.
_MOST_FAILURES = 1_000_000


def glance(source: Source) -> dict[str, Any]:
    """Where the store is, its lines by title, and what is wrong with its tables."""
    return {
        "uri": redacted(source.store.uri),
        "summary": [{"title": title, "lines": lines} for title, lines in summarise(source.session)],
        "warnings": warnings(source),
        "tables": dict(source.session.versions),
    }


def warnings(source: Source) -> list[str]:
    """What a session leaves out of the store, and why: it belongs above every page."""
    session = source.session
    found = [f"{loss}: its newest rows are missing" for loss in session.losses]
    found += [f"table {name} is left out: {why}" for name, why in session.unusable.items()]
    found += [
        f"{len(rows):,} damaged rows of {name} are left out, for example: {rows[0][1]}"
        for name, rows in session.damaged.items()
    ]
    return [f"{one}; see: featurestore verify" for one in found]


async def model_lineage_of(engine: Engine, name: str) -> Node:
    """What a model was made from, kept while the store stays; raises as `model_lineage`."""

    def made(source: Source) -> Node:
        return engine.kept(source, ("lineage", name), lambda: model_lineage(source.session, name))

    # Its view is selected again, which on a busy machine takes longer than an answer may.
    return await engine.ask_long(made)


async def table(engine: Engine, name: str) -> pa.Table:
    """One of `TABLES`, kept while the store stays as it is."""

    def rows(source: Source) -> pa.Table:
        return engine.kept(source, ("overview", name), lambda: _MAKERS[name](source))

    # Looking at every vector takes longer than an answer may.
    return await (engine.ask_long if name == "quality" else engine.ask)(rows)


def _coverage(source: Source) -> pa.Table:
    return coverage(source.session)


def _quality(source: Source) -> pa.Table:
    return as_table(check_quality(source.session, load_registry()))


def _runs(source: Source) -> pa.Table:
    rows = source.session.query(
        "SELECT started_at, command, status, epoch(ended_at - started_at) AS seconds, counts, "
        f"message, run_id FROM runs ORDER BY started_at DESC LIMIT {_MOST_RUNS}"
    )
    shown = [None if one is None else redacted(one) for one in rows["message"].to_pylist()]
    place = rows.column_names.index("message")
    return rows.set_column(place, "message", pa.array(shown, pa.string()))


def _failures(source: Source) -> pa.Table:
    return source.session.query(
        "SELECT stage, context, item, error, message, run_id FROM failures "
        f"ORDER BY stage, context, item LIMIT {_MOST_FAILURES}"
    )


def _snapshots(source: Source) -> pa.Table:
    return source.session.query(
        "SELECT name, created_at, message, len(versions) AS tables, "
        "list_sum(list_transform(versions, lambda v: v.rows)) AS rows FROM snapshots "
        "ORDER BY created_at DESC"
    )


_MAKERS: dict[str, Callable[[Source], pa.Table]] = {
    "coverage": _coverage,
    "quality": _quality,
    "runs": _runs,
    "failures": _failures,
    "snapshots": _snapshots,
}
