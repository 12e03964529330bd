"""What a seed group says of one material: a value, and how far it may be off."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from featurestore.classes import classes_of
from featurestore.identity import canonical_json
from featurestore.views.sql import text_columns
from featurestore.views.view import TrainingView
from train.display.rounding import rounded
from train.forecasts.domain import Traits
from train.forecasts.group import LoadedGroup, Told
from train.tasks.classes import named_sets

_FEW_NEAREST = 3


@dataclass(frozen=True)
class Forecast:
    """What a seed group says of one material.

    Parameters
    ----------
    material_id, structure_id, formula : str
        The material.
    property, unit : str
        What is predicted.
    group_id : str
        The models; ``model_ids`` are theirs.
    prediction : float
        The mean over the models, in ``unit``; of classes the place of the most probable one.
    std : float or None
        Standard deviation of the error.
    lower, upper : float or None
        The 90 % interval.
    calibration : str
        How ``std`` and the interval came about; it begins with "uncalibrated" where they are rough.
    of_seeds : tuple of float
        The prediction of each model.
    distance : float or None
        To the five nearest training materials, in these materials' own usual distance.
    percentile : float or None
        How many per cent of the training materials are nearer to the others.
    of_features : dict of str to float
        The percentile in each feature.
    nearest : tuple of (str, float)
        The nearest training materials with their targets, nearest first.
    unseen : tuple of str
        What no training material has: elements, a prototype, sizes.
    target : float or None
        What the store has as the true value, of the source that the models learned from.
    had_target : bool
        Whether the store has a value of any source.
    inputs_sha256 : str
        Hash of all that the models were given.
    probabilities : tuple of float
        Of each class, in the order of ``classes``; empty for numbers.
    class_set : tuple of str or None
        The classes in the set that holds 90 %; None for numbers, or without calibration.
    """

    material_id: str
    structure_id: str
    formula: str
    property: str
    unit: str
    group_id: str
    model_ids: tuple[str, ...]
    prediction: float
    std: float | None
    lower: float | None
    upper: float | None
    calibration: str
    of_seeds: tuple[float, ...]
    distance: float | None
    percentile: float | None
    of_features: Mapping[str, float]
    nearest: tuple[tuple[str, float], ...]
    unseen: tuple[str, ...]
    target: float | None
    had_target: bool
    inputs_sha256: str
    probabilities: tuple[float, ...] = ()
    class_set: tuple[str, ...] | None = None

    @builtins.property
    def classes(self) -> tuple[str, ...]:
        """The classes of the property; none for numbers."""
        return classes_of(self.unit)

    def named(self, value: float | None) -> str:
        """A value as people read it: rounded to the error, or the name of a class."""
        if value is not None and self.classes:
            return self.classes[int(value)]
        return rounded(value, self.std)

    @classmethod
    def of_group(
        cls,
        group: LoadedGroup,
        view: TrainingView,
        told: Told,
        traits: Traits,
        rows: Sequence[int],
        targets: Mapping[str, float | None],
    ) -> list[Forecast]:
        """The forecasts of a group for those ``rows`` of a view that ``told`` is of.

        ``targets`` has the materials that have a value, None where it is of another source.
        """
        p, domain, bounds = group.parameters, group.knowledge.domain, told.bounds
        predictions, structures = told.prediction, view.rows["structure_id"].to_pylist()
        ends = told.interval
        some = traits.some(np.array(rows, dtype=np.int64))
        unseen = domain.unseen(some)
        digests = _digests(group, view)
        found = []
        sets = told.classes.sets if told.classes is not None else None
        named = None if sets is None else named_sets(sets, p.classes)
        for place, row in enumerate(rows):
            name, value = view.material_ids[row], float(predictions[place])
            d = told.distances
            found.append(
                cls(
                    material_id=name,
                    structure_id=structures[row],
                    formula=some.formulas[place],
                    property=p.property,
                    unit=p.unit,
                    group_id=group.group_id,
                    model_ids=tuple(group.stored.model_ids),
                    prediction=value,
                    std=None if bounds.std is None else float(bounds.std[place]),
                    lower=None if ends is None else float(ends[0][place]),
                    upper=None if ends is None else float(ends[1][place]),
                    calibration=bounds.calibration,
                    of_seeds=tuple(map(float, told.of_seeds[place])),
                    distance=None if d is None else float(d.ratio[place]),
                    percentile=None if d is None else float(d.percentile[place]),
                    of_features={}
                    if d is None
                    else {part: float(values[place]) for part, values in d.of_features.items()},
                    nearest=()
                    if d is None
                    else tuple(
                        (domain.material_ids[one], float(domain.targets[one]))
                        for one in d.nearest[place][:_FEW_NEAREST]
                    ),
                    unseen=unseen[place],
                    target=targets.get(name),
                    had_target=name in targets,
                    inputs_sha256=digests[row],
                    probabilities=()
                    if told.classes is None
                    else tuple(map(float, told.classes.probabilities[place])),
                    class_set=None if named is None else tuple(named[place]),
                )
            )
        return found


def _digests(group: LoadedGroup, view: TrainingView) -> list[str]:
    """For each row a hash of its structure, its texts and every byte of its features."""
    names = [str(part) for part in group.parameters.parts]
    texts = [text_columns(number)[0] for number in range(1, len(group.parameters.texts) + 1)]
    columns = [view.rows[name].to_pylist() for name in ("structure_id", *texts)]
    features = np.ascontiguousarray(view.features, dtype="<f4")
    found = []
    for row in range(len(view)):
        ids = [column[row] for column in columns]
        digest = sha256(canonical_json([names, *ids]).encode("utf-8"))
        digest.update(features[row].data)
        found.append(digest.hexdigest())
    return found
