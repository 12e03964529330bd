"""Which models a command is about: those named, or all hybrids of a property or split."""

from __future__ import annotations

from collections.abc import Sequence

from featurestore.errors import MissingDataError
from featurestore.store import FeatureStore
from train.models import StoredModel, find_models, stored_models


def chosen_models(
    store: FeatureStore, names: Sequence[str], property_name: str | None, split: str | None
) -> list[StoredModel]:
    """The models of these names, or those of structure and full text of a property or split.

    Raises
    ------
    UnknownNameError, InvalidInputError
        If a name is of no model, or of several.
    MissingDataError
        If there is no such model of the property or split.
    """
    with store.session() as session:
        if names:
            return find_models(session, names)
        models = [
            model
            for model in stored_models(session, property_name, split)
            if model.parameters.features == "structure+text" and model.parameters.variant == "full"
        ]
    if not models:
        raise MissingDataError(
            f"no model of structure and full text for property {property_name or 'any'}, split "
            f"{split or 'any'}; see: featurestore train list"
        )
    return models
