"""What came of predicting materials: one value a material and property, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from featurestore.failure import Failure
from featurestore.identity import canonical_json
from featurestore.output.display import Showing, Shown
from train.display.rounding import deterministic, rounded
from train.forecasts.forecast import Forecast


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
        ("had_target", pa.bool_()),
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
    if "out-of-fold" in how:
        what = "sets of classes that hold 90 %" if of_classes else "90 % interval"
        return f"no {what}, {how}: more measured materials would make it calibrated"
    if of_classes:
        return (
            f"no sets of classes that hold 90 %, {how}: a larger validation fold (featurestore "
            "ingest splits) or more materials with classes would give them"
        )
    return (
        f"no 90 % interval, {how}; the standard deviation is a rough one. A larger validation fold "
        "(featurestore ingest splits) or more measured materials would give one, and so would "
        "featurestore train final, which calibrates by every material"
    )
