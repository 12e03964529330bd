"""What bears the name of a material or a data set, and what it becomes."""

from __future__ import annotations

from featurestore.catalogue import structure_of
from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.quoting import SQL, quoted
from featurestore.renames import DATASET, MATERIAL, renamed_hint
from featurestore.session import Session
from featurestore.upkeep.removal import shown_names
from featurestore.upkeep.renaming import Renaming
from featurestore.upkeep.renamings.bearers import conditioned_by, conditions_stay, models_stay
from featurestore.upkeep.renamings.plan import begun_of, change_of, check_text, checked, failures_of


def of_dataset(session: Session, old: str, new: str) -> Renaming:
    """The renaming of a data set. The source of its targets is another name.

    Raises
    ------
    UnknownNameError
        If there is no such data set.
    InvalidInputError
        If there is one of the new name, or it is empty.
    """
    known = set(session.query("SELECT DISTINCT dataset FROM materials")["dataset"].to_pylist())
    if not begun_of(session, DATASET, old, new):
        if old not in known:
            raise UnknownNameError(DATASET, old, known, renamed_hint(session, DATASET, old))
        check_text(DATASET, new)
        if new in known:
            raise InvalidInputError(
                f"there is a data set {new!r} already, and two that have become one could not be "
                "told apart again; take another name"
            )
    failures, stays = failures_of(session, "structures", old, new)
    sources = session.query(
        "SELECT DISTINCT property FROM properties WHERE source = ? ORDER BY ALL", [old]
    )["property"].to_pylist()
    if sources:
        stays += (
            f"{old} stays the source of {shown_names(sources)}; rename that with: featurestore "
            f"rename source {sources[0]} {old} {new}",
        )
    this = SQL(f"dataset = {quoted(old)}")
    change = change_of(session, "materials", "materials", this, {"dataset": quoted(new)})
    return Renaming(
        kind=DATASET,
        names=((old, new),),
        changes=(*failures, change),
        models=conditioned_by(session, old),
        stays=(*stays, *conditions_stay(session, old)),
    )


def of_material(session: Session, old: str, new: str) -> Renaming:
    """The renaming of a material, with its targets, folds, predictions and forecasts.

    What asks for the old id is told the new one. A source that still has the old id brings it back
    as another material when it is ingested again.

    Raises
    ------
    UnknownNameError
        If there is no such material.
    InvalidInputError
        If there is one of the new id, or it is empty.
    """
    begun = begun_of(session, MATERIAL, old, new)
    known = set(
        session.query("SELECT material_id FROM materials WHERE material_id IN (?, ?)", [old, new])[
            "material_id"
        ].to_pylist()
    )
    if not begun:
        structure_of(session, old)
        check_text("material", new)
        if new in known:
            raise InvalidInputError(
                f"there is a material {new!r} already; take another id, or remove it with: "
                f"featurestore remove materials --where \"material_id = '{new}'\""
            )
    this, values = SQL(f"material_id = {quoted(old)}"), {"material_id": quoted(new)}
    predicted = session.query(
        "SELECT DISTINCT model_id FROM predictions WHERE material_id IN (?, ?) ORDER BY ALL",
        [old, new if begun else old],
    )["model_id"].to_pylist()
    models = tuple(sorted({*predicted, *(name for one in begun for name in one.models)}))
    dataset = session.dataset("materials")
    rows = [] if dataset is None else dataset.to_table(filter=this).to_pylist()
    near = SQL(f"array_has(nearest, {quoted(old)})")
    nearest = {"nearest": SQL(f"array_replace_all(nearest, {quoted(old)}, {quoted(new)})")}
    changes = (
        change_of(session, "erasures", "erased predictions", this, values),
        change_of(session, "predictions", "predictions", this, values),
        change_of(session, "forecasts", "forecasts", this, values),
        change_of(session, "forecasts", "forecasts of materials near it", near, nearest),
        change_of(session, "splits", "folds", this, values),
        change_of(session, "properties", "targets", this, values),
    )
    return checked(
        session,
        Renaming(
            kind=MATERIAL,
            names=((old, new),),
            changes=changes,
            models=models,
            stays=(
                *models_stay(models),
                *conditions_stay(session, old),
                f"a source in which it is still {old} brings that back as another material",
            ),
            added=tuple(("materials", row | {"material_id": new}) for row in rows),
            removed=(change_of(session, "materials", "material", this, {}),) if rows else (),
        ),
    )
