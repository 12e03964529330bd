"""Models, conditions and feature sets that bear a name, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from featurestore.feature_sets import FeatureSet, feature_sets
from featurestore.identity import fingerprint
from featurestore.renames import Renamed, renames
from featurestore.session import Session
from featurestore.tables.soundness import parsed_object
from featurestore.upkeep.removal import counted, shown_names
from featurestore.views.parameters import ViewParameters
from featurestore.views.renamed import feature_after, parameters_now


def models_of(
    session: Session, bears: Callable[[ViewParameters], bool], begun: Iterable[Renamed]
) -> tuple[str, ...]:
    """The models whose view bears the name by now, and those that are on record for it."""
    rows = session.query("SELECT model_id, view_parameters FROM models").to_pylist()
    found = {name for one in begun for name in one.models}
    past = renames(session)
    for row in rows:
        said = ViewParameters.from_dict(parsed_object(row["view_parameters"]))
        of_it = [one for one in past if row["model_id"] in one.models]
        if bears(parameters_now(said, of_it)):
            found.add(row["model_id"])
    return tuple(sorted(found))


def models_stay(models: tuple[str, ...]) -> tuple[str, ...]:
    """What is said of models that learned under the old name."""
    if not models:
        return ()
    keep, their = ("keeps", "its") if len(models) == 1 else ("keep", "their")
    return (
        f"{counted(len(models), 'model', 'models')} that learned under the old name {keep} saying "
        f"it, and {their} lineage says the new one: {shown_names(models)}",
    )


def conditioned_by(session: Session, name: str) -> tuple[str, ...]:
    """The models whose view has a condition with the name in its text."""
    rows = session.query(
        "SELECT model_id FROM models WHERE contains(view_where, ?) ORDER BY ALL", [name]
    )
    return tuple(rows["model_id"].to_pylist())


def conditions_stay(session: Session, name: str) -> tuple[str, ...]:
    """What is said of conditions: they are SQL of the user's, in which no name is replaced."""
    found = conditioned_by(session, name)
    if not found:
        return ()
    of = counted(len(found), "model", "models")
    return (
        f"the condition of {of} has {name!r} in its text, which stays: their view cannot be made "
        f"again: {shown_names(found)}",
    )


def _sets_of(session: Session, one: Renamed) -> list[tuple[FeatureSet, list[str]]]:
    """The newest version of each feature set that names it, and its features by the new name."""
    newest = {found.name: found for found in feature_sets(session)}
    changed = [
        (found, [feature_after(feature, one) for feature in found.features])
        for found in newest.values()
    ]
    return [(found, after) for found, after in changed if tuple(after) != found.features]


def grown_sets(session: Session, one: Renamed) -> tuple[tuple[str, dict[str, Any]], ...]:
    """Table and row of the further version of each feature set that names it."""
    return tuple(
        (
            "feature_sets",
            {
                "name": found.name,
                "version": found.version + 1,
                "features": after,
                "written": after,
                "description": found.description,
                "fingerprint": fingerprint({"features": after}),
                "created_at": one.renamed_at,
            },
        )
        for found, after in _sets_of(session, one)
    )


def sets_grow(session: Session, one: Renamed) -> tuple[str, ...]:
    """What is said of the feature sets that name it."""
    found = [f"{each.name}@{each.version + 1}" for each, _ in _sets_of(session, one)]
    if not found:
        return ()
    return (
        f"{counted(len(found), 'feature set', 'feature sets')} that name it get a further version: "
        f"{shown_names(found)}",
    )
