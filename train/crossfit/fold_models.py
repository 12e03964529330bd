"""Models of all splits that belong together, and what they say of rows that they did not learn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.errors import InvalidInputError, MissingDataError, UnknownNameError
from featurestore.output.display import Showing, Shown
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
from train.analysis.resampling import Estimate, mean_estimates, paired_difference
from train.display.rounding import rounded
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


@dataclass(frozen=True, repr=False)
class CrossValidated(Shown):
    """What came of training on every split of a name.

    Parameters
    ----------
    name : str
        Of the splits.
    parts : tuple of str
        What each split tests on: the number of a fold, or what is left out.
    results : tuple of TrainingResult
        One for each.
    errors : tuple of dict of str to float
        Of each the absolute error of its test materials.
    against : dict of str to float, optional
        The absolute errors of the same kind of model that saw materials like each, by material.
    reference : str, optional
        The cross-validation that ``against`` is of.
    """

    name: str
    parts: tuple[str, ...]
    results: tuple[TrainingResult, ...]
    errors: tuple[Mapping[str, float], ...] = field(repr=False)
    against: Mapping[str, float] | None = field(default=None, repr=False)
    reference: str | None = None

    @property
    def models(self) -> tuple[StoredModel, ...]:
        """One for each split."""
        return tuple(result.model for result in self.results)

    @property
    def trained(self) -> int:
        """How many models are new."""
        return sum(result.trained for result in self.results)

    @property
    def mae(self) -> Estimate:
        """The mean absolute error over all tests, with its bootstrap interval of 95 %.

        A material that several splits test on counts once, by its mean error.
        """
        return mean_estimates(np.array(list(_pooled(self.errors).values()))[:, None])[0]

    @property
    def table(self) -> pa.Table:
        """A row for each split: part, n_train, n_test, mae, rmse, r2, and what it costs.

        ``n_train`` counts the rows to stop by. ``mae_against`` is the error of the reference on
        the same materials, and ``cost`` by how many per cent ``mae`` is larger; null without one.
        """
        rows = []
        for part, model, errors in zip(self.parts, self.models, self.errors, strict=True):
            folds = model.metrics["folds"]
            row: dict[str, Any] = {"part": part}
            row["n_train"] = folds["train"]["n"] + folds["val"]["n"]
            row["n_test"] = folds["test"]["n"]
            row |= {name: folds["test"][name] for name in ("mae", "rmse", "r2")}
            rows.append(row | self._compared(errors))
        return pa.Table.from_pylist(rows, _SCHEMA)

    def _compared(self, errors: Mapping[str, float]) -> dict[str, float | None]:
        both = [one for one in errors if one in (self.against or {})]
        if not self.against or not both:
            return {"mae_against": None, "cost": None}
        known = float(np.mean([self.against[one] for one in both]))
        held = float(np.mean([errors[one] for one in both]))
        return {"mae_against": known, "cost": 100 * (held / known - 1) if known else None}

    @property
    def short(self) -> pa.Table:
        """For reading: numbers rounded to their error, without columns that say nothing."""
        rows = []
        for row, errors in zip(self.table.to_pylist(), self.errors, strict=True):
            values = np.array(list(errors.values()))
            error = float(values.std() / np.sqrt(len(values))) if len(values) > 1 else None
            named = {name: row[name] for name in ("part", "n_train", "n_test")}
            named |= {name: rounded(row[name], error) for name in ("mae", "rmse")}
            named["r2"] = "" if row["r2"] is None else f"{row['r2']:.2f}"
            if self.against:
                named["mae_against"] = rounded(row["mae_against"], error)
                named["cost"] = "" if row["cost"] is None else f"{row['cost']:+.0f} %"
            rows.append(named)
        return pa.Table.from_pylist(rows)

    def sentences(self) -> list[str]:
        """The errors over all splits in words."""
        unit, n = self.models[0].parameters.unit, len(_pooled(self.errors))
        mae = self.mae
        half = (mae.high - mae.low) / 2
        low, value, high = (rounded(one, half) for one in (mae.low, mae.value, mae.high))
        said = [
            f"Out of fold, {n:,} materials: MAE {value} {unit} (95 %: {low} to {high}); "
            f"{len(self.parts)} models of {self.name}, {self.trained} of them new."
        ]
        pooled = _pooled(self.errors)
        both = [one for one in pooled if one in (self.against or {})]
        if self.against and both:
            ours = np.array([pooled[one] for one in both])
            theirs = np.array([self.against[one] for one in both])
            gain = paired_difference(ours, theirs).gain
            spread = (gain.high - gain.low) / 2
            more, low, high = (rounded(one, spread) for one in (gain.value, gain.low, gain.high))
            share = f", {100 * gain.value / theirs.mean():+.0f} %" if theirs.any() else ""
            said.append(
                f"To be left out costs {more} {unit} (95 %: {low} to {high}){share}, against "
                f"{self.reference} on the same {len(both):,} materials."
            )
        return said

    def showing(self) -> Showing:
        """The table, and the sentences."""
        return Showing(f"Trained on {self.name}", {}, self.short, tuple(self.sentences()))


_SCHEMA = pa.schema(
    [
        ("part", pa.string()),
        ("n_train", pa.int64()),
        ("n_test", pa.int64()),
        *[(name, pa.float64()) for name in ("mae", "rmse", "r2", "mae_against", "cost")],
    ]
)


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
        errors.append({row["material_id"]: abs(row["prediction"] - row["target"]) for row in rows})
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
        "SELECT model_id, material_id, target, prediction FROM predictions WHERE fold = 'test' "
        "AND model_id IN (SELECT unnest(?::VARCHAR[])) ORDER BY material_id, model_id",
        [list(model_ids)],
    ).to_pylist()
    return found


def _pooled(errors: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """By material the mean over the splits that test on it."""
    found: dict[str, list[float]] = {}
    for of_one in errors:
        for name, error in of_one.items():
            found.setdefault(name, []).append(error)
    return {name: float(np.mean(values)) for name, values in found.items()}


def _reference(
    store: FeatureStore, request: ViewRequest, recipe: Recipe, seed: int, name: str
) -> dict[str, float]:
    """The errors of a cross-validation by the same recipe on the same features, by material."""
    known = cross_validate(store, replace(request, split=name), recipe, seed)
    return _pooled(known.errors)
