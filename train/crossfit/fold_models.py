"""Models of all splits that belong together, and what they say of rows that they did not learn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from featurestore.errors import InvalidInputError, MissingDataError, UnknownNameError
from featurestore.session import Session
from featurestore.splits import (
    ALL_PROPERTIES,
    cross_validation,
    cross_validations,
    families,
    left_out,
)
from featurestore.store import FeatureStore
from featurestore.views.request import ViewRequest
from train.crossfit.result import CrossValidated, pooled_errors
from train.models import StoredModel
from train.predictors.base import Recipe
from train.training import TrainingResult, train_model

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Predictions of materials by models that did not learn from them.

    Parameters
    ----------
    material_ids : tuple of str
        Ascending.
    targets, predictions : ndarray, shape (n,), float64
        In the unit of the property.
    fold_of : ndarray, shape (n,), int64
        The place of the model that predicted it.
    """

    material_ids: tuple[str, ...]
    targets: Floats = field(repr=False)
    predictions: Floats = field(repr=False)
    fold_of: npt.NDArray[np.int64] = field(repr=False)

    @property
    def residuals(self) -> Floats:
        """Prediction less target, shape (n,)."""
        return self.predictions - self.targets


def cross_validate(
    store: FeatureStore,
    request: ViewRequest,
    recipe: Recipe,
    seed: int = 0,
    *,
    against: str | None = None,
    said: Callable[[str], None] = lambda _: None,
) -> CrossValidated:
    """Train on every split of a cross-validation, or of what is left out in turn.

    Each model is stored with its predictions when it is done; the same call goes on where it
    stopped, and finds those that are there.

    Parameters
    ----------
    store : FeatureStore
        Read and written.
    request : ViewRequest
        The view; its ``split`` is the name of the cross-validation, or of splits that each leave
        out something.
    recipe : Recipe
        How to train.
    seed : int
        Of everything random in each training.
    against : str, optional
        A cross-validation that is trained by the same recipe on the same features: it tells what
        the errors are of materials that are not left out.
    said : callable
        Is told each note once.

    Raises
    ------
    UnknownNameError, InvalidInputError
        If there are no such splits, or the view cannot be learned from.
    MissingDataError
        If a split has too few rows to train or to stop by, or none to test on.
    TrainingError
        If a training diverges.
    """
    name = request.split
    if name is None:
        raise InvalidInputError("name a cross-validation as the split")
    with store.session() as session:
        splits = named_splits(session, name, request.property)
    known = None if against is None else _reference(store, request, recipe, seed, against)
    results, errors = [], []
    for split in splits.values():
        result = trained_on(store, replace(request, split=split), recipe, seed)
        for note in result.notes:
            said(note)
        results.append(result)
        with store.session() as session:
            rows = _test_rows(session, [result.model.model_id])
        of_rows = map(float, result.model.task.errors(rows))
        errors.append(dict(zip((row["material_id"] for row in rows), of_rows, strict=True)))
    return CrossValidated(
        name=name,
        parts=tuple(splits),
        results=tuple(results),
        errors=tuple(errors),
        against=known,
        reference=against,
    )


def named_splits(session: Session, name: str, property: str) -> dict[str, str]:
    """The splits of a cross-validation or of what is left out, by what each tests on.

    Raises
    ------
    InvalidInputError
        If it is an ordinary split.
    UnknownNameError
        If there is none of that name for the property.
    """
    known = cross_validations(session)
    if (name, property) in known or (name, ALL_PROPERTIES) in known:
        found = cross_validation(session, name, property)
        return {str(number): split for number, split in enumerate(found)}
    held = left_out(session, name, property)
    if held:
        return held
    plain = session.query("SELECT 1 FROM splits WHERE split = ? LIMIT 1", [name]).num_rows
    if plain:
        raise InvalidInputError(
            f"{name!r} is one split, with folds for training and testing: train on it with "
            "featurestore train fit, or make a cross-validation with: featurestore ingest splits "
            f"--folds 5 --property {property}"
        )
    names = {of for of, key in families(session) if key in (property, ALL_PROPERTIES)}
    raise UnknownNameError(
        f"cross-validation for {property}",
        name,
        names,
        "(make one with: featurestore ingest splits --folds 5)",
    )


def trained_on(
    store: FeatureStore, request: ViewRequest, recipe: Recipe, seed: int
) -> TrainingResult:
    """The model of one split of several, which has to test on something."""
    view = store.view(request)
    if not view.in_fold("test").any():
        lacking = ", ".join(f"{n} lack a {what}" for what, n in view.excluded.items())
        raise MissingDataError(
            f"split {request.split!r} leaves no material to test on for {request.property!r}"
            + (f" (of its other materials {lacking})" if lacking else "")
            + ": make fewer folds, or a cross-validation for these materials alone"
        )
    return train_model(store, view, recipe, seed)


def out_of_fold(session: Session, models: Sequence[StoredModel]) -> OutOfFold:
    """The predictions of each model's test materials, by the models of a cross-validation.

    Raises
    ------
    InvalidInputError
        If a material is tested on by several: the splits are no cross-validation.
    """
    places = {model.model_id: place for place, model in enumerate(models)}
    rows = _test_rows(session, list(places))
    names = [row["material_id"] for row in rows]
    for first, second in pairwise(names):
        if first == second:
            raise InvalidInputError(
                f"material {first!r} is tested on in several folds: these splits are no "
                "cross-validation; draw one with: featurestore ingest splits --folds 5"
            )
    return OutOfFold(
        material_ids=tuple(names),
        targets=np.array([row["target"] for row in rows], dtype=np.float64),
        predictions=np.array([row["prediction"] for row in rows], dtype=np.float64),
        fold_of=np.array([places[row["model_id"]] for row in rows], dtype=np.int64),
    )


def _test_rows(session: Session, model_ids: Sequence[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = session.query(
        "SELECT model_id, material_id, target, prediction, probabilities FROM predictions "
        "WHERE fold = 'test' AND model_id IN (SELECT unnest(?::VARCHAR[])) "
        "ORDER BY material_id, model_id",
        [list(model_ids)],
    ).to_pylist()
    return found


def _reference(
    store: FeatureStore, request: ViewRequest, recipe: Recipe, seed: int, name: str
) -> dict[str, float]:
    """The errors of a cross-validation by the same recipe on the same features, by material."""
    known = cross_validate(store, replace(request, split=name), recipe, seed)
    return pooled_errors(known.errors)
