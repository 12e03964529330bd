"""What imported models know: it came with their file and stands in the table imported_models."""

from __future__ import annotations

import json

from safetensors.numpy import load as load_arrays

from featurestore.errors import InvalidInputError
from featurestore.store import FeatureStore
from train.forecasts.knowledge import Knowledge
from train.models import SeedGroup


def imported_knowledge(store: FeatureStore, group: SeedGroup) -> Knowledge | None:
    """What came with the file of a group's models; None for models of this store.

    Raises
    ------
    InvalidInputError
        If the row is damaged.
    """
    from train.sharing.knowledge import from_arrays

    with store.session() as session:
        rows = session.query(
            "SELECT content, metadata FROM imported_models WHERE model_id = ?",
            [group.first.model_id],
        ).to_pylist()
    if not rows:
        return None
    try:
        arrays = load_arrays(rows[0]["content"])
        features = arrays["features"]
        return from_arrays(arrays, json.loads(rows[0]["metadata"])["knowledge"], features.shape[1])
    except Exception as error:  # whatever a damaged row makes a reader raise
        raise InvalidInputError(
            f"what came with model {group.first.model_id} is damaged ({error}); import its file "
            "again"
        ) from error
