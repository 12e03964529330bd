"""Completes names that the store holds: what a shell asks for when the user presses Tab."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from featurestore.quoting import SQL

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_MOST = 200

# Each query gives a name and what is said of it.
_QUERIES = {
    "properties": SQL("SELECT property, any_value(unit) FROM properties GROUP BY property"),
    "splits": SQL(
        "SELECT split, string_agg(DISTINCT property, ', ') FROM splits GROUP BY split "
        "UNION SELECT DISTINCT regexp_extract(split, '^(.*)/[^/]*$', 1), 'cross-validation' "
        "FROM splits WHERE contains(split, '/')"
    ),
    "structure_encoders": SQL("SELECT encoder_id, name FROM encoders WHERE kind = 'structure'"),
    "text_encoders": SQL("SELECT encoder_id, name FROM encoders WHERE kind = 'text'"),
    "encoders": SQL("SELECT encoder_id, name FROM encoders"),
    "versions": SQL(
        "SELECT encoder_id, name FROM encoders UNION SELECT generator_id, source FROM generators"
    ),
    "text_sources": SQL("SELECT generator_id, source FROM generators"),
    "feature_sets": SQL("SELECT DISTINCT name, description FROM feature_sets"),
    "models": SQL("SELECT model_id, property || ' by ' || predictor FROM models"),
    "snapshots": SQL("SELECT name, message FROM snapshots"),
    "materials": SQL("SELECT material_id, formula FROM materials"),
}
# Names beside ids: where several ids have one name it may be ambiguous, and the command says so.
_ALSO = ("structure_encoders", "text_encoders", "encoders", "text_sources")


def stored(kind: str) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """What ``shell_complete`` of a parameter takes, for names of one kind.

    Without a store, or where it cannot be read, there is nothing to complete: a shell has no place
    for an error, and the command itself reports it.
    """
    query = _QUERIES[kind]

    def complete(
        ctx: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        from featurestore.errors import FeatureStoreError

        try:
            found = _names(ctx, query)
        except FeatureStoreError:
            return []
        if kind in _ALSO:
            found |= {said: name for name, said in found.items() if said}
        return [
            CompletionItem(name, help=said or None)
            for name, said in sorted(found.items())
            if name.startswith(incomplete)
        ][:_MOST]

    return complete


def _names(ctx: click.Context, query: SQL) -> dict[str, str]:
    from featurestore.store import FeatureStore

    uri = ctx.params.get("store_uri") or ctx.lookup_default("store_uri") or "materials-store"
    with FeatureStore.open(uri).session() as session:
        rows = session.query(query).to_pylist()
    return {name: said or "" for name, said in (row.values() for row in rows) if name}
