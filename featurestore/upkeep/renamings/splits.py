"""What bears the name of a split, and what it becomes."""

from __future__ import annotations

from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.identity import canonical_json
from featurestore.quoting import SQL, literal, quoted
from featurestore.renames import SPLIT, renamed_hint
from featurestore.session import Session
from featurestore.splits import families
from featurestore.upkeep.renaming import Renaming
from featurestore.upkeep.renamings.bearers import models_of, models_stay
from featurestore.upkeep.renamings.plan import (
    begun_of,
    change_of,
    check_text,
    checked,
    failures_of,
    listed,
)


def of_split(session: Session, old: str, new: str) -> Renaming:
    """The renaming of a split, or of all splits that belong together, as a cross-validation's.

    Raises
    ------
    UnknownNameError
        If there is no such split.
    InvalidInputError
        If it is one of several that belong together, or the new name is in use or empty.
    """
    begun = begun_of(session, SPLIT, old, new)
    together = families(session)
    of = {one: family for (family, _), members in together.items() for one in members}
    known = set(session.query("SELECT DISTINCT split FROM splits")["split"].to_pylist())
    known |= set(session.query("SELECT DISTINCT split FROM split_versions")["split"].to_pylist())
    if not begun:
        if old in of and of[old] != old:
            raise InvalidInputError(
                f"split {old!r} is one of those of {of[old]!r}; rename all of it with: "
                f"featurestore rename split {of[old]} {new}"
            )
        names = {of.get(one, one) for one in known}
        if old not in names:
            raise UnknownNameError("split", old, names, renamed_hint(session, SPLIT, old))
        check_text("split", new)
        taken = [one for one in sorted(known | names) if one == new or one.startswith(f"{new}/")]
        if taken:
            raise InvalidInputError(
                f"there is a split {taken[0]!r} already; take another name, or remove it with: "
                f"featurestore remove split {of.get(taken[0], taken[0])}"
            )
    members = sorted(one for one, family in of.items() if family == old)
    pairs = dict.fromkeys(
        [
            (old, new),
            *((one.old, one.new) for one in begun),
            *((one, new + one.removeprefix(old)) for one in members),
        ]
    )
    is_old = SQL(f"split IN ({listed([one for one, _ in pairs])})")
    # what follows the old name stays: nothing, the number of a fold, or what is left out
    named = SQL(f"concat({quoted(new)}, substr(split, {literal(len(old) + 1)}))")
    rule, drawn = SQL("rule"), SQL("false")
    for one, other in pairs:
        text, becomes = canonical_json({"of": one})[1:-1], canonical_json({"of": other})[1:-1]
        rule = SQL(f"replace({rule}, {quoted(text)}, {quoted(becomes)})")
        drawn = SQL(f"{drawn} OR contains(rule, {quoted(text)})")
    is_one = {one for one, _ in pairs}
    models = models_of(session, lambda p: p.split in is_one, begun)
    found = [
        failures_of(session, "splits", f"{one} {key}", f"{other} {key}")
        for one, other in pairs
        for key in _keys(session, one)
    ]
    return checked(
        session,
        Renaming(
            kind=SPLIT,
            names=tuple(pairs),
            changes=(
                *(change for changes, _ in found for change in changes),
                change_of(
                    session,
                    "split_versions",
                    "rules of splits drawn from it",
                    SQL(f"({drawn}) AND NOT {is_old}"),
                    {"rule": rule},
                ),
                change_of(
                    session, "split_versions", "versions", is_old, {"split": named, "rule": rule}
                ),
                change_of(session, "splits", "folds", is_old, {"split": named}),
            ),
            models=models,
            stays=(*models_stay(models), *(one for _, kept in found for one in kept)),
        ),
    )


def _keys(session: Session, split: str) -> list[str]:
    """The properties for which a split is, by its folds or its versions."""
    rows = session.query(
        "SELECT property FROM splits WHERE split = ?1 UNION "
        "SELECT property FROM split_versions WHERE split = ?1 ORDER BY ALL",
        [split],
    )
    return list(rows["property"].to_pylist())
