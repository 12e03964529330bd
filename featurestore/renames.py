"""What has been renamed: the record, and the name that something has by now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from featurestore.session import Session

MATERIAL, PROPERTY, SOURCE = "material", "property", "source"
SPLIT, DATASET = "split", "data set"


@dataclass(frozen=True)
class Renamed:
    """One name that became another.

    Parameters
    ----------
    kind : {"material", "property", "source", "split", "data set"}
        What was renamed.
    old, new : str
        Its names.
    property : str
        Of which a source was renamed, by its name of then; empty for everything else.
    models : tuple of str
        Those that had learned from it or predicted it: they go on saying the old name.
    renamed_at : datetime
        UTC.
    finished : bool
        Whether the command has come to its end.
    """

    kind: str
    old: str
    new: str
    property: str
    models: tuple[str, ...]
    renamed_at: datetime
    finished: bool


def renames(session: Session, model: str | None = None) -> list[Renamed]:
    """All renames, oldest first, or those that concern a model."""
    rows = session.query(
        "SELECT kind, old, new, property, models, renamed_at, "
        "run_id IN (SELECT run_id FROM runs WHERE status = 'finished') AS finished "
        "FROM renames WHERE ?1 IS NULL OR list_contains(models, ?1) "
        "ORDER BY renamed_at, length(old), old",
        [model],
    ).to_pylist()
    return [Renamed(**row | {"models": tuple(row["models"])}) for row in rows]


def names_now(past: Iterable[Renamed], kind: str) -> dict[str, str]:
    """What each name of a kind that was given up has become.

    Parameters
    ----------
    past : iterable of Renamed
        Oldest first.
    """
    now: dict[str, str] = {}
    for one in past:
        if one.kind == kind:
            now = {old: one.new if new == one.old else new for old, new in now.items()}
            now[one.old] = one.new
            now.pop(one.new, None)  # a name that is in use again
    return now


def renamed_hint(session: Session, kind: str, name: str) -> str:
    """What a name that is not known any more has become, for an error; empty if nothing."""
    now = names_now(renames(session), kind).get(name, name)
    return "" if now == name else f"({name!r} has been renamed; it is {now!r} now)"
