"""Takes the models of a seed group out of a store into a file, and from a file into a store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from safetensors.numpy import save as save_arrays

from featurestore.errors import InvalidInputError
from featurestore.identity import canonical_json, versioned_id
from featurestore.quoting import SQL, column
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.tables.soundness import parsed_object
from featurestore.views.parameters import ViewParameters
from featurestore.views.sql import view_sql
from train.forecasts.chosen import named_group
from train.forecasts.group import load_group
from train.models import SeedGroup, stored_weights
from train.sharing.file import (
    ENCODER_COLUMNS,
    GENERATOR_COLUMNS,
    MODEL_COLUMNS,
    read_model_file,
    write_model_file,
)
from train.sharing.knowledge import to_arrays


def export_models(store: FeatureStore, name: str, path: Path) -> SeedGroup:
    """Write a model, with those that differ from it by the seed, into one file.

    Nothing that runs goes into it: weights are arrays, all else is JSON. It holds the ids, targets
    and feature vectors of the training materials, by which distances and intervals are told
    elsewhere.

    Raises
    ------
    UnknownNameError, InvalidInputError
        If there is no such model, or a predictor's weights are no arrays.
    """
    with store.session() as session:
        group = named_group(session, name)
        content = _content(session, group)
        weights = [stored_weights(session, model_id) for model_id in group.model_ids]
    _check_arrays(group, weights)
    arrays, said = to_arrays(load_group(store, group).knowledge)
    write_model_file(path, content | {"knowledge": said}, weights, arrays)
    return group


def import_models(store: FeatureStore, path: Path) -> tuple[str, list[str], int]:
    """Put the models of a file into a store, with their encoders' and generators' fingerprints.

    Returns
    -------
    str
        The group's id.
    list of str
        The models' ids.
    int
        How many of them are new.

    Raises
    ------
    InvalidInputError
        If the file is refused; see `read_model_file`.
    """
    file = read_model_file(path)
    ids = [row["model_id"] for row in file.models]
    named = json.loads(file.models[0]["view_parameters"])["property"]
    group = versioned_id(named, {"models": sorted(ids)})
    with store.session() as session:
        own = session.query(
            "SELECT model_id FROM models WHERE model_id IN (SELECT unnest(?::VARCHAR[])) AND "
            "model_id NOT IN (SELECT model_id FROM imported_models)",
            [ids],
        )["model_id"].to_pylist()
    if own:
        raise InvalidInputError(f"model {own[0]} is this store's own: there is nothing to import")
    with store.run("models import", {"file": path.name, "sha256": file.sha256}) as run:
        shared = {"created_at": datetime.now(UTC), "run_id": run.run_id}
        store.merge_rows("encoders", [row | shared for row in file.encoders])
        store.merge_rows("generators", [row | shared for row in file.generators])
        known = {
            "group_id": group,
            "file_sha256": file.sha256,
            "metadata": canonical_json({"knowledge": file.content["knowledge"]}),
            "content": bytes(save_arrays(file.arrays)),
        }
        # First what a model knows: a model that can be seen is complete.
        rows = [{"model_id": model_id} | known | shared for model_id in ids]
        merged = store.merge_rows("imported_models", rows)
        if merged.conflicts:
            raise InvalidInputError(
                f"model {merged.conflicts[0]['model_id']} has come from another file before; that "
                "one stands"
            )
        models = [row | {"view_sql": _sql(row), "history": []} | shared for row in file.models]
        new = store.merge_rows("models", models).written
        run.counts = {"models": new, "present": len(ids) - new}
    return group, ids, new


def _content(session: Session, group: SeedGroup) -> dict[str, Any]:
    """The rows that go into the file, as JSON values."""
    vectors = group.parameters.vectors
    encoders = sorted({part.encoder_id for part in vectors})
    generators = sorted({part.generator_id for part in vectors if part.generator_id is not None})
    return {
        "models": _rows(session, "models", "model_id", group.model_ids, MODEL_COLUMNS),
        "encoders": _rows(session, "encoders", "encoder_id", encoders, ENCODER_COLUMNS),
        "generators": _rows(session, "generators", "generator_id", generators, GENERATOR_COLUMNS),
        "features": [str(part) for part in group.parameters.parts],
    }


def _rows(
    session: Session, table: str, key: str, ids: Sequence[str], columns: Sequence[str]
) -> list[dict[str, Any]]:
    names = SQL(", ".join(column(name) for name in columns))
    rows = session.query(
        f"SELECT {names} FROM {column(table)} WHERE {column(key)} IN (SELECT unnest(?::VARCHAR[]))",
        [list(ids)],
    ).to_pylist()
    order = {name: place for place, name in enumerate(ids)}
    return sorted(rows, key=lambda row: order[row[key]])


def _check_arrays(group: SeedGroup, weights: Sequence[bytes]) -> None:
    """Raise if weights are not in the safetensors format."""
    from safetensors.numpy import load

    from train.crossfit.predictor import is_cross_fitted

    for model_id, data in zip(group.model_ids, weights, strict=True):
        try:
            parts = load(data)
            if is_cross_fitted(data):
                for part in parts.values():
                    load(part.tobytes())
        # Whatever the reader raises on other bytes.
        except Exception as error:
            raise InvalidInputError(
                f"model {model_id} ({group.first.predictor}) keeps its weights in another form "
                "than safetensors: others could not read it without running what is in it"
            ) from error


def _sql(row: dict[str, Any]) -> str:
    """The view's SQL, made again: what a stranger's file says is not kept."""
    return view_sql(ViewParameters.from_dict(parsed_object(row["view_parameters"])))
