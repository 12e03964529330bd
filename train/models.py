"""The rows of the ``models`` table, as values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, overload

import numpy as np
import pyarrow as pa

from featurestore.catalogue import find_model_id
from featurestore.classes import shown_unit
from featurestore.errors import MissingDataError
from featurestore.identity import canonical_json
from featurestore.output.display import Showing, Shown
from featurestore.query.conditions import as_condition
from featurestore.quoting import SQL
from featurestore.renames import Renamed, renames
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.texts.variants import FULL
from featurestore.views.parameters import ViewParameters
from featurestore.views.renamed import parameters_now
from featurestore.views.request import COMBINED, FEATURES, FOLDS, GRAPH
from train.model_request import ModelRequest
from train.tasks.base import Task
from train.tasks.choose import task_of


@dataclass(frozen=True, repr=False)
class StoredModel(Shown):
    """A model's row without its weights.

    Parameters
    ----------
    model_id : str
        The property, what the features are made of, and ten digits over the training view, the
        predictor's settings and the seed.
    predictor : str
        Name of the recipe, for example ``"mlp"``.
    parameters : ViewParameters
        The training view, under the names that its property, source and split have today.
    text_source : str or None
        The text source of the view's generator.
    view_fingerprint : str
        SHA-256 of the view's rows and features.
    seed : int
        Seed of the initial weights and of the shuffling.
    settings : dict
        The recipe's settings.
    metrics : dict
        ``folds`` (per fold n, mae, rmse, r2; of classes what `class_metrics` gives), ``epochs``,
        ``best_epoch``, ``seconds``; of a model that learned from all rows ``cross_validation``, see
        `train.crossfit.final`; where the predictor knows its uncertainty ``coverage`` (per nominal
        level the share of the test targets in the intervals or sets) and of classes ``set_size``,
        ``calibration_bins`` and ``confusion``; ``notes`` and ``part`` (versions and data that the
        predictor's package declares), if there are any; and what the recipe chose by itself.
    trained_as : ViewParameters
        The training view under the names of then, as the row has it.
    renamed : tuple of Renamed
        What has had another name since, oldest first.
    """

    model_id: str
    predictor: str
    parameters: ViewParameters
    text_source: str | None
    view_fingerprint: str
    seed: int
    settings: dict[str, Any] = field(repr=False)
    metrics: dict[str, Any] = field(repr=False)
    trained_as: ViewParameters = field(repr=False)
    renamed: tuple[Renamed, ...] = field(default=(), repr=False)

    @property
    def task(self) -> Task:
        """What is asked of it: numbers or classes."""
        return task_of(self.parameters.unit)

    def error(self, fold: str = "test") -> float | None:
        """The task's error on a fold: the MAE, or the Brier score; None where the fold is empty."""
        found: float | None = self.metrics["folds"][fold][self.task.error]
        return found

    @property
    def encoders(self) -> str:
        """The encoders' ids, each once, joined by a plus."""
        ids = (feature.encoder_id for feature in self.parameters.vectors)
        return " + ".join(dict.fromkeys(ids))

    @property
    def folds_table(self) -> pa.Table:
        """fold, n and the task's metrics of each fold; errors of numbers in the property's unit."""
        rows = [{"fold": fold, **self.metrics["folds"][fold]} for fold in FOLDS]
        measures = self.task.measures
        kinds = [("n", pa.int64()), *((name, pa.float64()) for name in measures)]
        return pa.Table.from_pylist(rows, pa.schema([("fold", pa.string()), *kinds]))

    def showing(self) -> Showing:
        """What the model is, and its errors."""
        p = self.parameters
        facts = {
            "target": f"{p.property} ({shown_unit(p.unit)})",
            "features": p.features_name,
            "encoders": self.encoders,
            "split": str(p.split),
            "predictor": f"{self.predictor}, seed {self.seed}",
        }
        return Showing(f"Model {self.model_id}", facts, self.folds_table)

    @property
    def rehearsed_fold(self) -> str | None:
        """The fold whose stored predictions are of a rehearsal, since the model learned from it."""
        fold: str | None = self.metrics.get("rehearsed_fold")
        return fold

    @property
    def cross_validation(self) -> dict[str, Any]:
        """Of a model that learned from all rows: ``split``, ``folds``, ``models`` and others."""
        found: dict[str, Any] = self.metrics.get("cross_validation", {})
        return found


def stored_models(
    session: Session,
    property: str | None = None,
    split: str | None = None,
    where: str | None = None,
) -> list[StoredModel]:
    """All stored models, oldest first, or those that match; the fields are those of `ModelRequest`.

    A property and a split are named as they are called today.

    Raises
    ------
    InvalidInputError
        If the condition is not one SQL expression.
    QueryError
        If DuckDB cannot evaluate it.
    """
    condition = SQL("true") if where is None else as_condition(where)
    since: dict[str, list[Renamed]] = {}
    for one in renames(session):
        for model_id in one.models:
            since.setdefault(model_id, []).append(one)
    rows = session.read_only_query(
        f"""
        SELECT model_id, predictor, seed, settings, metrics, view_parameters, view_fingerprint,
               text_source
        FROM (
            SELECT m.* EXCLUDE (weights, history), g.source AS text_source
            FROM models m LEFT JOIN generators g ON g.generator_id = m.generator_id
            WHERE list_contains($renamed::VARCHAR[], m.model_id) OR (
                  ($property IS NULL OR m.property = $property)
                  AND ($split IS NULL OR m.split = $split))
        )
        WHERE {condition}
        ORDER BY created_at, model_id
        """,
        {"property": property, "split": split, "renamed": list(since)},
    ).to_pylist()
    models = [_of_row(row, tuple(since.get(row["model_id"], ()))) for row in rows]
    return [
        model
        for model in models
        if property in (None, model.parameters.property) and split in (None, model.parameters.split)
    ]


def _of_row(row: dict[str, Any], since: tuple[Renamed, ...]) -> StoredModel:
    trained_as = ViewParameters.from_dict(json.loads(row["view_parameters"]))
    return StoredModel(
        model_id=row["model_id"],
        predictor=row["predictor"],
        parameters=parameters_now(trained_as, since),
        text_source=row["text_source"],
        view_fingerprint=row["view_fingerprint"],
        seed=row["seed"],
        settings=json.loads(row["settings"]),
        metrics=json.loads(row["metrics"]),
        trained_as=trained_as,
        renamed=since,
    )


def requested_models(session: Session, request: ModelRequest) -> list[StoredModel]:
    """The models that are asked for, at least one; raises as `find_model` and `stored_models` do.

    Raises
    ------
    MissingDataError
        If there is none.
    """
    if request.names:
        return find_models(session, request.names)
    models = stored_models(session, request.property, request.split, request.where)
    if not models:
        raise MissingDataError(
            "the store has no model"
            + (f" of {request}" if str(request) else "")
            + "; train one with: featurestore train mlp --property … --split …, or see those there "
            "are with: featurestore train list"
        )
    return models


def find_models(session: Session, names: Iterable[str]) -> list[StoredModel]:
    """The models of these names, each once; raises as `find_model`."""
    found = [find_model(session, name) for name in names]
    return list({model.model_id: model for model in found}.values())


def find_model(session: Session, name: str) -> StoredModel:
    """The model with this id, or the only one whose id starts so.

    Raises
    ------
    UnknownNameError
        If there is none.
    InvalidInputError
        If several ids start so.
    """
    model_id = find_model_id(session, name)
    return next(model for model in stored_models(session) if model.model_id == model_id)


def stored_history(session: Session, model_id: str) -> list[dict[str, Any]]:
    """The loss curve of a model: ``epoch``, ``train_mae`` and ``val_mae`` of each epoch."""
    rows = session.query("SELECT history FROM models WHERE model_id = ?", [model_id])
    return list(rows["history"][0].as_py())


def stored_weights(session: Session, model_id: str) -> bytes:
    """The weights of a model, safetensors bytes."""
    rows = session.query("SELECT weights FROM models WHERE model_id = ?", [model_id])
    return bytes(rows["weights"][0].as_py())


@dataclass(frozen=True, repr=False)
class SeedGroup(Shown, Sequence[StoredModel]):
    """Models that differ only by their seed, as a sequence in its order; at least one.

    Parameters
    ----------
    models : tuple of StoredModel
        In order of the seed.

    Raises
    ------
    ValueError
        If there is none.
    """

    models: tuple[StoredModel, ...]

    def __post_init__(self) -> None:
        if not self.models:
            raise ValueError("a group of seeds needs a model")

    @overload
    def __getitem__(self, place: int) -> StoredModel: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[StoredModel, ...]: ...
    def __getitem__(self, place: int | slice) -> StoredModel | tuple[StoredModel, ...]:
        return self.models[place]

    def __len__(self) -> int:
        return len(self.models)

    @property
    def first(self) -> StoredModel:
        """The model with the lowest seed, for what they share."""
        return self.models[0]

    @property
    def parameters(self) -> ViewParameters:
        """Their training view."""
        return self.first.parameters

    @property
    def model_ids(self) -> list[str]:
        """Their ids."""
        return [model.model_id for model in self.models]

    @property
    def seeds(self) -> tuple[int, ...]:
        """Their seeds."""
        return tuple(model.seed for model in self.models)

    def showing(self) -> Showing:
        """What the models share, and the test error of each."""
        p = self.parameters
        rows = [
            {"model_id": m.model_id, "seed": m.seed, f"test_{m.task.error}": m.error()}
            for m in self.models
        ]
        facts = {
            "target": f"{p.property} ({shown_unit(p.unit)})",
            "features": p.features_name,
            "split": str(p.split),
            "predictor": self.first.predictor,
        }
        title = f"{len(self)} models that differ by their seed"
        return Showing(title, facts, pa.Table.from_pylist(rows))

    def mean(self, of: Callable[[StoredModel], Any]) -> Any:
        """The mean over the models of a number, or of arrays of one shape."""
        return np.mean([of(model) for model in self.models], axis=0)


def seed_groups(models: Iterable[StoredModel]) -> list[SeedGroup]:
    """Models that differ only by their seed, together, in order of property, split and features."""
    ordered = sorted(models, key=lambda model: (_seedless(model), model.seed))
    return [SeedGroup(tuple(group)) for _, group in groupby(ordered, key=_seedless)]


def _seedless(model: StoredModel) -> tuple[Any, ...]:
    """What two models must share to be two seeds of one thing; sorts as the table does."""
    p = model.parameters
    return (
        p.property,
        p.split or "",
        (*FEATURES, GRAPH, COMBINED).index(p.features),
        p.inputs,
        p.where or "",
        model.text_source or "",
        p.structure_encoder or "",
        p.text_encoder or "",
        p.variant,
        model.predictor,
        canonical_json(model.settings),
        model.view_fingerprint,
        model.cross_validation.get("assignment", ""),
    )


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
        if {"structure", "text"} <= {part.kind for part in model.parameters.parts}
        and all(text.variant == str(FULL) for text in model.parameters.texts)
    ]
    if not hybrids:
        raise MissingDataError(
            f"no model of structure and full text among the {len(models)} of {request}; see: "
            "featurestore train list"
        )
    return hybrids
