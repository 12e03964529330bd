"""Takes rows out of a store: the plan says what hangs on them first, then each table loses its own.

What others are found by goes last, so that a removal that was cut off leaves a store that opens,
and the same command finds what is left of it. Lance keeps what a snapshot has named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from featurestore.quoting import SQL, column, quoted
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run

MATERIAL = "material"

_IDS_AT_ONCE = 1000


@dataclass(frozen=True)
class Step:
    """Rows of one table that go.

    Parameters
    ----------
    table : str
        Theirs.
    what : str
        What they are, in words, after their number.
    conditions : tuple of SQL
        Each is one commit; together they hold for these rows.
    n : int
        How many there are.
    """

    table: str
    what: str
    conditions: tuple[SQL, ...]
    n: int


@dataclass(frozen=True)
class Removal:
    """What a removal would do.

    Parameters
    ----------
    kind : str
        "material", "property", "split", "encoder" or "model".
    names : tuple of str
        What is removed.
    steps : tuple of Step
        What hangs on it, in order.
    last : tuple of Step
        What the same command finds it by, should the removal be cut off.
    stays : tuple of str
        Sentences about what hangs on it and stays.
    models : dict of str to tuple of str
        For each name the models that have learned from it, which their lineage says from then on.
    then : callable, optional
        Between ``steps`` and ``last``: removes what can be found only once those rows are gone, and
        returns how many by table.
    """

    kind: str
    names: tuple[str, ...]
    steps: tuple[Step, ...]
    last: tuple[Step, ...]
    stays: tuple[str, ...] = ()
    models: dict[str, tuple[str, ...]] = field(default_factory=dict)
    then: Callable[[FeatureStore, Run], dict[str, int]] | None = None

    def lines(self) -> list[str]:
        """The plan for people."""
        shown = ", ".join(self.names[:5]) + (", …" if len(self.names) > 5 else "")
        many = "" if len(self.names) == 1 else f"{len(self.names):,} × "
        return [
            f"{many}{self.kind}: {shown}",
            *(f"  {step.n:,} {step.what}" for step in (*self.steps, *self.last) if step.n),
            *(f"  {sentence}" for sentence in self.stays),
        ]


def by_ids(table: str, of: str, ids: Sequence[str], what: str, n: int) -> Step:
    """The rows whose column ``of`` is one of the ids."""
    conditions = tuple(
        SQL(f"{column(of)} IN ({SQL(', '.join(map(quoted, ids[first : first + _IDS_AT_ONCE])))})")
        for first in range(0, len(ids), _IDS_AT_ONCE)
    )
    return Step(table, what, conditions, n)


def carry_out(store: FeatureStore, removal: Removal) -> dict[str, int]:
    """Do what a plan says, as a run on record beside which no other writes.

    Returns
    -------
    dict of str to int
        Rows removed, by table.

    Raises
    ------
    BusyStoreError
        If another command is writing.
    StorageError
        If the storage refuses; the same command goes on from there.
    """
    arguments = {"kind": removal.kind, "names": list(removal.names)}
    with store.run("remove", arguments) as run:
        shared = {"removed_at": datetime.now(UTC), "run_id": run.run_id}
        known = _models_on_record(store, removal)
        rows = [
            {"kind": removal.kind, "name": name, "models": sorted(known.get(name, ()))} | shared
            for name in removal.names
        ]
        store.merge_rows("removals", rows, replace=True)
        removed = _without(store, removal.steps)
        if removal.then is not None:
            removed |= removal.then(store, run)
        removed |= _without(store, removal.last)
        run.counts = removed
    return removed


def _models_on_record(store: FeatureStore, removal: Removal) -> dict[str, set[str]]:
    """For each name the models of this removal, and those of an earlier one of the same name.

    One that was cut off has removed the predictions that said so.
    """
    known = {name: set(removal.models.get(name, ())) for name in removal.names}
    with store.session() as session:
        rows = session.query(
            "SELECT name, models FROM removals WHERE kind = ? AND name IN "
            "(SELECT unnest(?::VARCHAR[]))",
            [removal.kind, list(removal.names)],
        ).to_pylist()
    for row in rows:
        known[row["name"]].update(row["models"])
    return known


def cut_off_materials(session: Session) -> list[str]:
    """Materials whose removal has begun and not ended."""
    rows = session.query(
        "SELECT m.material_id FROM removals r JOIN materials m ON m.material_id = r.name "
        "LEFT JOIN runs ON runs.run_id = r.run_id WHERE r.kind = ? "
        "AND runs.status IS DISTINCT FROM 'finished'",
        [MATERIAL],
    )
    return list(rows["material_id"].to_pylist())


def _without(store: FeatureStore, steps: Iterable[Step]) -> dict[str, int]:
    removed: dict[str, int] = {}
    for step in steps:
        for condition in step.conditions if step.n else ():
            store.remove(step.table, condition)
        removed[step.table] = removed.get(step.table, 0) + step.n
    return {table: n for table, n in removed.items() if n}


def counted(n: int, one: str, many: str) -> str:
    """A number with its noun."""
    return f"{n:,} {one if n == 1 else many}"


def shown_names(names: Iterable[str]) -> str:
    """The first names of several."""
    every = list(names)
    return ", ".join(every[:3]) + (", …" if len(every) > 3 else "")
