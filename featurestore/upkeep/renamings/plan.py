"""What a renaming changes, row by row, and why it may not be."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from featurestore.errors import InvalidInputError
from featurestore.quoting import SQL, identifier, quoted
from featurestore.renames import Renamed, renames
from featurestore.session import Session
from featurestore.tables.schemas import TABLES
from featurestore.upkeep.renaming import Change, Renaming


def begun_of(session: Session, kind: str, old: str, new: str, property: str = "") -> list[Renamed]:
    """What is on record of this very renaming if it was cut off: its names, those of splits too."""
    same = [
        one
        for one in renames(session)
        if (one.kind, one.property) == (kind, property)
        and (one.old == old or one.old.startswith(f"{old}/"))
        and one.new == new + one.old.removeprefix(old)
    ]
    newest = max((one.renamed_at for one in same), default=None)
    begun = [one for one in same if one.renamed_at == newest and not one.finished]
    return begun if any(one.old == old for one in begun) else []


def renamed_now(kind: str, old: str, new: str, property: str = "") -> Renamed:
    """A renaming that is about to begin."""
    return Renamed(
        kind=kind,
        old=old,
        new=new,
        property=property,
        models=(),
        renamed_at=datetime.now(UTC),
        finished=False,
    )


def check_text(what: str, new: str) -> None:
    """Raise `InvalidInputError` where a new name is empty, padded or not to be printed."""
    if not new.strip() or new != new.strip() or not new.isprintable():
        raise InvalidInputError(
            f"{new!r} is no name of a {what}: it is empty, begins or ends with a space, or has "
            "characters that cannot be printed"
        )


def change_of(
    session: Session, table: str, what: str, condition: SQL, values: dict[str, SQL]
) -> Change:
    """How many rows a change of a table is about."""
    dataset = session.dataset(table)
    n = 0 if dataset is None else dataset.count_rows(filter=condition)
    return Change(table=table, what=what, condition=condition, values=values, n=n)


def checked(session: Session, renaming: Renaming) -> Renaming:
    """The plan, unless a key would come to be there twice.

    Raises
    ------
    InvalidInputError
        If rows of both names have the rest of their key in common.
    """
    for change in renaming.changes:
        key = TABLES[change.table].key
        [of] = [name for name in change.values if name in key] or [""]
        if not of or not change.n:
            continue
        for old, new in renaming.names:
            rest = SQL(
                " AND ".join(
                    f"a.{identifier(name)} = b.{identifier(name)}" for name in key if name != of
                )
                or "true"
            )
            table, place = identifier(change.table), identifier(of)
            narrowed = SQL("true")
            if renaming.property:
                narrowed = SQL(f"a.property = {quoted(renaming.property)}")
            twice = session.query(
                f"SELECT count(*) AS n FROM {table} a JOIN {table} b ON {rest} "
                f"WHERE a.{place} = {quoted(old)} AND b.{place} = {quoted(new)} AND {narrowed}"
            )["n"][0].as_py()
            if twice:
                raise InvalidInputError(
                    f"{twice:,} rows of {change.table} are there under {old!r} and under {new!r}; "
                    "remove one or the other first with: featurestore remove"
                )
    return renaming


def failures_of(
    session: Session, stage: str, old: str, new: str
) -> tuple[tuple[Change, ...], tuple[str, ...]]:
    """The failures on record, unless there are some under the new name: then they stay."""
    of_stage = SQL(f"stage = {quoted(stage)}")
    change = change_of(
        session,
        "failures",
        "failures on record",
        SQL(f"{of_stage} AND context = {quoted(old)}"),
        {"context": quoted(new)},
    )
    there = change_of(session, "failures", "", SQL(f"{of_stage} AND context = {quoted(new)}"), {})
    if change.n and there.n:
        return (), (f"{change.n:,} failures stay on record under {old}: there are some of {new}",)
    return (change,), ()


def listed(names: Iterable[str]) -> SQL:
    """Names as literals of SQL, with commas between them."""
    return SQL(", ".join(map(quoted, names)))
