"""Which models a command is about: those named, or the hybrids among those that match."""

from __future__ import annotations

from featurestore.errors import MissingDataError
from featurestore.model_request import ModelRequest
from featurestore.store import FeatureStore
from train.models import StoredModel, requested_models


def hybrid_models(store: FeatureStore, request: ModelRequest) -> list[StoredModel]:
    """The models that are named, or those of structure and full text that match.

    Raises
    ------
    UnknownNameError, InvalidInputError
        If a name is of no model, or of several, or a condition is no SQL expression.
    MissingDataError
        If no such model matches.
    QueryError
        If DuckDB cannot evaluate a condition.
    """
    with store.session() as session:
        models = requested_models(session, request)
    if request.names:
        return models
    hybrids = [
        model
        for model in models
        if model.parameters.features == "structure+text" and model.parameters.variant == "full"
    ]
    if not hybrids:
        raise MissingDataError(
            f"no model of structure and full text among the {len(models)} of {request}; see: "
            "featurestore train list"
        )
    return hybrids
