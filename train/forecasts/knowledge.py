"""What a seed group knows beside its weights: its training materials, and how far off it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from featurestore.errors import MissingDataError
from featurestore.renames import MATERIAL, renames
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.views.candidates import select_candidates
from train.crossfit.class_sets import ClassCrossCalibration
from train.crossfit.cv_plus import CrossCalibration
from train.crossfit.predictor import CrossFitted
from train.forecasts.calibration import Calibration
from train.forecasts.classes import ClassCalibration, calibration_of, stored_probabilities
from train.forecasts.domain import Domain, traits_of
from train.models import SeedGroup
from train.predictors.loading import LoadedModel


@dataclass(frozen=True, eq=False)
class Knowledge:
    """What a group knows beside its weights: its training materials, and how far off it was.

    Parameters
    ----------
    domain : Domain
        The training materials.
    calibration : Calibration or ClassCalibration
        By the validation materials; of models that learned from all rows by all, out of fold.
    notes : tuple of str
        What is to be known about these.
    cross : CrossCalibration, ClassCrossCalibration or None
        Of models that learned from all rows: by it come their intervals, or sets of classes.
    """

    domain: Domain
    calibration: Calibration | ClassCalibration
    notes: tuple[str, ...] = ()
    cross: CrossCalibration | ClassCrossCalibration | None = None


def stored_knowledge(
    store: FeatureStore, group: SeedGroup, models: Sequence[LoadedModel]
) -> Knowledge:
    """What the store holds of a group's training and validation materials.

    Raises
    ------
    MissingDataError
        If its predictions are gone.
    """
    crossed = [one.predictor for one in models if isinstance(one.predictor, CrossFitted)]
    learned = ("test",) if crossed else ("train", "val")
    with store.session() as session:
        told = _stored_predictions(session, group)
        if not told:
            raise MissingDataError(
                f"the predictions of model {group.first.model_id} are not in the store, so that "
                "nothing is known of its errors: restore a backup, or train it again"
            )
        ids = [one for one, row in told.items() if row["fold"] in learned]
        selected, lacking = select_candidates(session, group.parameters, sorted(ids))
        traits = traits_of(session, selected.rows["material_id"].to_pylist())
        fold_of = _named_now(session, group, crossed[0]) if crossed else {}
    view = selected.read()
    notes = []
    if lacking:
        notes.append(
            f"{len(lacking):,} of the {len(ids):,} materials that the model learned from are no "
            "longer in the store with all their vectors; distances leave them out"
        )
    names = view.material_ids
    in_train = np.array([told[one]["fold"] == learned[0] for one in names], dtype=bool)
    targets = np.array([told[one]["target"] for one in names])
    chosen = np.flatnonzero(in_train)
    domain = Domain.of(
        [names[row] for row in chosen],
        targets[in_train],
        view.features[in_train],
        [(block.name, block.start, block.stop) for block in view.blocks],
        traits.some(chosen),
    )
    if crossed and group.parameters.classes:
        return _crossed_of_classes(store, group, domain, fold_of, tuple(notes))
    if crossed:
        return _crossed(domain, fold_of, told, tuple(notes))
    val = ~in_train
    if group.parameters.classes:
        with store.session() as session:
            of_val = [name for name, there in zip(names, val, strict=True) if there]
            return Knowledge(domain, calibration_of(session, group, of_val), tuple(notes))
    stds = [told[one]["std"] for one, there in zip(names, val, strict=True) if there]
    own = None if not stds or any(std is None for std in stds) else np.array(stds)
    ratios = None
    if domain.has_distances and val.any():
        ratios = domain.distances(
            view.features[val], [name for name, there in zip(names, val, strict=True) if there]
        ).ratio
    held = np.array([told[one]["prediction"] for one in names])[val]
    return Knowledge(domain, Calibration.of(held - targets[val], own, ratios), tuple(notes))


def _named_now(session: Session, group: SeedGroup, fitted: CrossFitted) -> dict[str, int]:
    """The fold of each material, by the names that these have by now; the seeds share them."""
    fold_of = dict(fitted.fold_of)
    for one in renames(session, group.first.model_id):
        if one.kind == MATERIAL and one.old in fold_of:
            fold_of[one.new] = fold_of.pop(one.old)
    return fold_of


def _crossed(
    domain: Domain,
    folds: dict[str, int],
    told: dict[str, dict[str, Any]],
    notes: tuple[str, ...],
) -> Knowledge:
    """What the out-of-fold errors of all materials say."""
    names = domain.material_ids
    residuals = np.array([told[one]["prediction"] - told[one]["target"] for one in names])
    fold_of = np.array([folds[one] for one in names], dtype=np.int64)
    ratios = domain.distances(domain.features, names).ratio if domain.has_distances else None
    calibration = Calibration.of(residuals, None, ratios)
    n_folds = max(folds.values()) + 1
    cross = CrossCalibration.of(n_folds, fold_of, residuals, ratios, calibration.power)
    return Knowledge(domain, calibration, notes, cross)


def _crossed_of_classes(
    store: FeatureStore,
    group: SeedGroup,
    domain: Domain,
    folds: dict[str, int],
    notes: tuple[str, ...],
) -> Knowledge:
    """What the out-of-fold probabilities of all materials say."""
    with store.session() as session:
        names, told, targets = stored_probabilities(session, group, domain.material_ids)
    fold_of = np.array([folds[one] for one in names], dtype=np.int64)
    cross = ClassCrossCalibration.of(max(folds.values()) + 1, fold_of, told, targets)
    return Knowledge(domain, ClassCalibration.of(told, targets), notes, cross)


def _stored_predictions(session: Session, group: SeedGroup) -> dict[str, dict[str, Any]]:
    """By material its fold, target, mean prediction and joint standard deviation."""
    rows = session.query(
        "SELECT material_id, any_value(fold) AS fold, any_value(target) AS target, "
        "avg(prediction) AS prediction, "
        "CASE WHEN count(std) = count(*) THEN sqrt(avg(std * std)) END AS std "
        "FROM predictions WHERE model_id IN (SELECT unnest(?::VARCHAR[])) "
        "GROUP BY material_id HAVING count(*) = ? ORDER BY material_id",
        [group.model_ids, len(group)],
    ).to_pylist()
    return {row["material_id"]: row for row in rows}
