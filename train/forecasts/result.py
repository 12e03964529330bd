"""What came of predicting materials: one value a material and property, as a table."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import pyarrow as pa

from featurestore.classes import classes_of
from featurestore.failure import Failure
from featurestore.identity import canonical_json
from featurestore.output.display import Showing, Shown
from featurestore.views.sql import text_columns
from featurestore.views.view import TrainingView
from train.display.rounding import deterministic, rounded
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
        What the store has as the true value.
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
        targets: Mapping[str, float],
    ) -> list[Forecast]:
        """The forecasts of a group for those ``rows`` of a view that ``told`` is of."""
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


@dataclass(frozen=True, repr=False)
class Forecasts(Shown):
    """What came of a call of `Predictor.predict`.

    Parameters
    ----------
    rows : tuple of Forecast
        By property, then by material.
    failures : dict of str to Failure
        Materials and files without a forecast, and why.
    passed_over : dict of str to Failure
        Files that hold no structure.
    notes : tuple of str
        What a reader of the numbers should know.
    written : int
        Forecasts that are new in the store.
    seconds : dict of str to float
        Where the time went.
    """

    rows: tuple[Forecast, ...]
    failures: Mapping[str, Failure]
    passed_over: Mapping[str, Failure]
    notes: tuple[str, ...]
    written: int
    seconds: Mapping[str, float]

    @property
    def table(self) -> pa.Table:
        """Everything about each forecast, a row each; numbers in full.

        Where there are forecasts of classes, with their name, probabilities and set.
        """
        rows = [
            vars(row)
            | {
                "model_ids": list(row.model_ids),
                "of_seeds": list(row.of_seeds),
                "of_features": canonical_json(dict(row.of_features)),
                "nearest": [{"material_id": name, "target": value} for name, value in row.nearest],
                "unseen": list(row.unseen),
                "class": row.classes[int(row.prediction)] if row.classes else None,
                "probabilities": list(row.probabilities) if row.classes else None,
                "class_set": None if row.class_set is None else list(row.class_set),
            }
            for row in self.rows
        ]
        of_classes = any(row.classes for row in self.rows)
        fields = [*_SCHEMA, *(_OF_CLASSES if of_classes else [])]
        return pa.Table.from_pylist(rows, schema=pa.schema(fields))

    @property
    def short(self) -> pa.Table:
        """For reading: numbers rounded to their error, classes with their probability and set."""
        return pa.table(
            {
                "material_id": [row.material_id for row in self.rows],
                "formula": [row.formula for row in self.rows],
                "property": [row.property for row in self.rows],
                "value": [row.named(row.prediction) for row in self.rows],
                **self._probabilities(),
                "std": ["" if row.classes else rounded(row.std, row.std) for row in self.rows],
                "90 %": [_interval(row) for row in self.rows],
                "unit": ["" if row.classes else row.unit for row in self.rows],
                "percentile": [_percentile(row) for row in self.rows],
                "nearest known": [_nearest(row) for row in self.rows],
                "unseen": ["; ".join(row.unseen) for row in self.rows],
            }
        )

    def _probabilities(self) -> dict[str, list[str]]:
        """A column for the probability of the class that is named; none where all are numbers."""
        said = [f"{max(row.probabilities):.2g}" if row.classes else "" for row in self.rows]
        return {"probability": said} if any(said) else {}

    def remarks(self) -> list[str]:
        """Sentences below the table: models, calibration, what failed."""
        said = []
        for group in dict.fromkeys(row.group_id for row in self.rows):
            rows = [row for row in self.rows if row.group_id == group]
            seeds = _seeds(rows)
            said.append(f"{rows[0].property}: {len(rows)} by {group} ({seeds})")
            for how in dict.fromkeys(row.calibration for row in rows):
                said.append(f"{rows[0].property}: {_calibration(how, bool(rows[0].classes))}")
            far = sum(1 for row in rows if row.percentile is not None and row.percentile >= 100)
            if far:
                said.append(
                    f"{rows[0].property}: {far} of {len(rows)} are farther from the training "
                    "materials than any of these is from the others: no calibration reaches there"
                )
        return [*said, *self.notes]

    def showing(self) -> Showing:
        """The forecasts in short."""
        facts = {"failed": str(len(self.failures))} if self.failures else {}
        return Showing(f"{len(self.rows)} forecasts", facts, self.short, tuple(self.remarks()))


_OF_CLASSES = [
    pa.field("class", pa.string()),
    pa.field("probabilities", pa.list_(pa.float64())),
    pa.field("class_set", pa.list_(pa.string())),
]
_SCHEMA = pa.schema(
    [
        *[
            (name, pa.string())
            for name in ("material_id", "structure_id", "formula", "property", "unit", "group_id")
        ],
        ("model_ids", pa.list_(pa.string())),
        *[(name, pa.float64()) for name in ("prediction", "std", "lower", "upper")],
        ("calibration", pa.string()),
        ("of_seeds", pa.list_(pa.float64())),
        *[(name, pa.float64()) for name in ("distance", "percentile")],
        ("of_features", pa.string()),
        (
            "nearest",
            pa.list_(pa.struct([("material_id", pa.string()), ("target", pa.float64())])),
        ),
        ("unseen", pa.list_(pa.string())),
        ("target", pa.float64()),
        ("inputs_sha256", pa.string()),
    ]
)


def _interval(row: Forecast) -> str:
    if row.class_set is not None:
        return " or ".join(row.class_set)
    if row.lower is None or row.upper is None:
        return "none"
    return f"{rounded(row.lower, row.std)} to {rounded(row.upper, row.std)}"


def _percentile(row: Forecast) -> str:
    return "" if row.percentile is None else f"{row.percentile:.0f}"


def _nearest(row: Forecast) -> str:
    if not row.nearest:
        return ""
    name, target = row.nearest[0]
    return f"{name} ({row.named(target)})"


def _seeds(rows: Sequence[Forecast]) -> str:
    n = len(rows[0].of_seeds)
    if n == 1:
        return "1 seed"
    of_seeds = np.array([row.of_seeds for row in rows])
    if deterministic(of_seeds):
        return f"{n} seeds, deterministic: they change nothing"
    if rows[0].classes:
        agree = float((of_seeds == of_seeds[:, :1]).all(axis=1).mean())
        return f"{n} seeds that name one class for {agree:.0%} of the materials"
    spread = float(np.sqrt(np.mean(of_seeds.var(axis=1, ddof=1))))
    return f"{n} seeds that differ by {spread:.2g} {rows[0].unit}"


def _calibration(how: str, of_classes: bool) -> str:
    if how.startswith("sets"):
        return how
    if not how.startswith("uncalibrated"):
        return f"interval of {how}"
    if of_classes:
        return (
            f"no sets of classes that hold 90 %, {how}: a larger validation fold (featurestore "
            "ingest splits) or more materials with classes would give them"
        )
    if "out-of-fold" in how:
        return f"no 90 % interval, {how}: more measured materials would give one"
    return (
        f"no 90 % interval, {how}; the standard deviation is a rough one. A larger validation fold "
        "(featurestore ingest splits) or more measured materials would give one, and so would "
        "featurestore train final, which calibrates by every material"
    )
