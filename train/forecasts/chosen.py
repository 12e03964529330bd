"""Which models predict a property: the promoted ones, else the only seed group there is.

The models of a cross-validation's folds do not count where one has learned from all its rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from featurestore.errors import InvalidInputError, MissingDataError, UnknownNameError
from featurestore.renames import PROPERTY, renamed_hint
from featurestore.session import Session
from featurestore.session_tables import IN_USE, PROMOTED, RETIRED
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from train.models import SeedGroup, StoredModel, find_model, seed_groups, stored_models


def chosen_group(session: Session, property: str) -> SeedGroup:
    """The seed group that predicts a property.

    Raises
    ------
    MissingDataError
        If the store has no model of it.
    InvalidInputError
        If it has several groups and none is promoted, or all are retired.
    """
    models = stored_models(session, property)
    standings = session.standings()
    if not models:
        known = sorted({model.parameters.property for model in stored_models(session)})
        hint = renamed_hint(session, PROPERTY, property)
        raise MissingDataError(
            f"the store has no model of property {property!r}"
            + (f" {hint}" if hint else f", only of {', '.join(known)}" if known else "")
            + f"; train one with: featurestore train ensemble --property {property} --split …, or "
            "featurestore models import FILE"
        )
    promoted = [model for model in models if standings.get(model.model_id) == PROMOTED]
    in_use = [model for model in models if standings.get(model.model_id) != RETIRED]
    parts = {one for model in in_use for one in model.cross_validation.get("models", ())}
    groups = seed_groups(
        promoted or [model for model in in_use if model.model_id not in parts] or in_use
    )
    if len(groups) == 1:
        return groups[0]
    names = ", ".join(group.first.model_id for group in groups)
    if not groups:
        raise InvalidInputError(
            f"all models of property {property!r} are retired; name one with --model, or promote "
            "one with: featurestore models promote MODEL"
        )
    raise InvalidInputError(
        f"property {property!r} has {len(groups)} models and none is chosen: {names}; compare two "
        "with 'featurestore models compare A B', choose with 'featurestore models promote MODEL', "
        "or name one with --model"
    )


def named_group(session: Session, name: str) -> SeedGroup:
    """The seed group of the model with this id, or the only one whose id starts so.

    Raises
    ------
    UnknownNameError, InvalidInputError
        If there is none, or there are several.
    """
    try:
        model = find_model(session, name)
    except UnknownNameError as error:
        raise UnknownNameError(
            "model",
            name,
            [one.model_id for one in stored_models(session)],
            "(see: featurestore train list; one of another store comes with: featurestore models "
            "export there and featurestore models import here)",
        ) from error
    return group_of(session, model)


def groups_asked_for(
    session: Session, properties: Sequence[str], models: Sequence[str]
) -> list[SeedGroup]:
    """The groups of models that are named, then the chosen ones of properties.

    Raises
    ------
    MissingDataError, UnknownNameError, InvalidInputError
        As for `named_group` and `chosen_group`.
    """
    named = [named_group(session, name) for name in models]
    return named + [chosen_group(session, name) for name in properties]


def group_of(session: Session, model: StoredModel) -> SeedGroup:
    """The seed group that a model is in."""
    groups = seed_groups(stored_models(session, model.parameters.property))
    return next(group for group in groups if model.model_id in group.model_ids)


def properties_with_models(session: Session) -> list[str]:
    """The properties of which the store has models that are not retired."""
    standings = session.standings()
    models = [m for m in stored_models(session) if standings.get(m.model_id) != RETIRED]
    return sorted({model.parameters.property for model in models})


def promote(store: FeatureStore, name: str, reason: str, run: Run) -> tuple[SeedGroup, list[str]]:
    """Let a seed group predict its property from now on.

    Returns
    -------
    SeedGroup
        The group of the model that was named.
    list of str
        The models of the property that were promoted before and are no longer.

    Raises
    ------
    UnknownNameError, InvalidInputError
        As for `named_group`.
    """
    with store.session() as session:
        group = named_group(session, name)
        standings = session.standings()
        of_property = stored_models(session, group.parameters.property)
    before = [
        model.model_id
        for model in of_property
        if standings.get(model.model_id) == PROMOTED and model.model_id not in group.model_ids
    ]
    changes = dict.fromkeys(before, IN_USE) | dict.fromkeys(group.model_ids, PROMOTED)
    _write(store, changes, reason, run)
    return group, before


def retire(store: FeatureStore, name: str, reason: str, run: Run) -> SeedGroup:
    """Let a property no longer find a seed group; its rows stay, and its ids find it.

    Raises
    ------
    UnknownNameError, InvalidInputError
        As for `named_group`.
    """
    with store.session() as session:
        group = named_group(session, name)
    _write(store, dict.fromkeys(group.model_ids, RETIRED), reason, run)
    return group


def _write(store: FeatureStore, changes: dict[str, str], reason: str, run: Run) -> None:
    shared = {"reason": reason, "changed_at": datetime.now(UTC), "run_id": run.run_id}
    rows = [{"id": one, "standing": standing} | shared for one, standing in changes.items()]
    run.counts = {"changed": store.merge_rows("standings", rows, replace=True).written}
