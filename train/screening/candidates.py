"""What is known and predicted of candidates, as arrays: the input of ranking and choosing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from featurestore.classes import classes_of
from featurestore.errors import MissingDataError
from featurestore.session import Session
from featurestore.store import FeatureStore
from train.forecasts.calibration import FEWEST_ROWS, Calibration
from train.forecasts.forecast import Forecast
from train.forecasts.group import LoadedGroup
from train.screening.classes import class_outlook
from train.screening.distribution import Distribution
from train.screening.rules import Outlook
from train.screening.wants import Want

Floats = npt.NDArray[np.float64]

#: A candidate is outside a model's domain if it is farther from the training materials than this
#: many per cent of them are from the others.
OUTSIDE = 95.0


@dataclass(frozen=True)
class Material:
    """A candidate.

    Parameters
    ----------
    material_id, structure_id, formula : str
        Which.
    prototype, space_group : str
        The composition prototype, as ``AB2``, and the space group's symbol.
    elements : frozenset of str
        All that are in it.
    """

    material_id: str
    structure_id: str
    formula: str
    prototype: str
    space_group: str
    elements: frozenset[str]


@dataclass(frozen=True, eq=False)
class Told:
    """What the models of one property say of the candidates, and what the store knows.

    Parameters
    ----------
    want : Want
        As it was asked.
    unit, group_id : str
        Of the models.
    predicted : ndarray, shape (n,), float64
        Predictions; NaN for a material without one.
    std : ndarray, shape (n,), float64
        Standard deviations of their errors.
    known : ndarray, shape (n,), float64
        Known values; NaN elsewhere.
    percentile : ndarray, shape (n,), float64
        Distances to the training materials, see `train.forecasts.domain`; NaN without one.
    unseen : tuple of tuple of str
        For each material the elements that no training material has.
    outlook : Outlook
        The distribution, the best known value.
    """

    want: Want
    unit: str
    group_id: str
    predicted: Floats = field(repr=False)
    std: Floats = field(repr=False)
    known: Floats = field(repr=False)
    percentile: Floats = field(repr=False)
    unseen: tuple[tuple[str, ...], ...] = field(repr=False)
    outlook: Outlook = field(repr=False)

    def class_at(self, row: int) -> str:
        """The name of the known or most probable class of a material."""
        value = self.known[row] if np.isfinite(self.known[row]) else self.predicted[row]
        return classes_of(self.unit)[int(value)]

    @property
    def is_known(self) -> npt.NDArray[np.bool_]:
        """Which values are known, shape (n,)."""
        return np.isfinite(self.known)

    @property
    def missed(self) -> npt.NDArray[np.bool_]:
        """Which materials are known to miss the window, shape (n,)."""
        if self.want.goal is not None:
            return np.zeros(len(self.known), bool)
        return self.is_known & ~self.want.holds(self.known)

    @property
    def resolution(self) -> float:
        """The least probability of a prediction that validation rows can show."""
        return self.outlook.values.errors.resolution

    def outside(self) -> list[str]:
        """For each material why the prediction reaches outside the domain; empty where not."""
        found = []
        for known, percentile, unseen in zip(
            self.is_known, self.percentile, self.unseen, strict=True
        ):
            words = list(unseen)
            if percentile > OUTSIDE:
                words.append(f"farther than {percentile:.0f} %")
            said = f"{self.want.property}: {', '.join(words)}"
            found.append(said if words and not known else "")
        return found


def materials_of(session: Session, material_ids: Sequence[str]) -> list[Material]:
    """The candidates' rows, in the order of the ids."""
    rows = session.query(
        "SELECT material_id, structure_id, formula, prototype, space_group, "
        "list_distinct(species) AS elements FROM materials WHERE material_id IN "
        "(SELECT unnest(?::VARCHAR[]))",
        [list(material_ids)],
    ).to_pylist()
    found = {
        row["material_id"]: Material(**(row | {"elements": frozenset(row["elements"])}))
        for row in rows
    }
    return [found[one] for one in material_ids]


def known_values(
    store: FeatureStore, property: str, source: str, structures: Mapping[str, str]
) -> dict[str, float]:
    """The values of a property that the store has from a source, by material.

    Parameters
    ----------
    store : FeatureStore
        Read.
    property, source : str
        Which values.
    structures : mapping of str to str
        The structure of each candidate: of one that the store has by the same name with another
        structure, nothing is known.
    """
    with store.session() as session:
        rows = session.query(
            "SELECT material_id, structure_id, value FROM properties JOIN materials "
            "USING (material_id) WHERE property = ? AND source = ?",
            [property, source],
        ).to_pylist()
    return {
        row["material_id"]: row["value"]
        for row in rows
        if structures.get(row["material_id"], row["structure_id"]) == row["structure_id"]
    }


def best_known(
    group: LoadedGroup,
    want: Want,
    known: Mapping[str, Mapping[str, float]],
    windows: Iterable[Want],
    without: frozenset[str],
) -> tuple[float, str | None]:
    """The best known value of a property that is to be improved.

    Only materials count that are known to fulfil all windows; where there is none, all do.

    Parameters
    ----------
    group : LoadedGroup
        Whose training materials are known, too.
    want : Want
        The goal.
    known : mapping of str to (mapping of str to float)
        For each property the known values by material.
    windows : iterable of Want
        Of other properties.
    without : frozenset of str
        Materials whose values are to count as unknown.

    Returns
    -------
    float
        The value.
    str or None
        What has to be said of it.

    Raises
    ------
    MissingDataError
        If no value is known.
    """
    domain = group.knowledge.domain
    values = dict(zip(domain.material_ids, map(float, domain.targets), strict=True))
    values |= known[want.property]
    values = {name: value for name, value in values.items() if name not in without}
    if not values:
        raise MissingDataError(
            f"no value of {want.property} is known beside the candidates', so that nothing can be "
            "better than the best one: leave out --predict-known"
        )
    best = max if want.seeks_largest() else min
    windows = list(windows)
    fulfilling = [
        value
        for name, value in values.items()
        if all(
            name in known[one.property] and one.holds(np.array([known[one.property][name]]))[0]
            for one in windows
        )
    ]
    if fulfilling:
        return best(fulfilling), None
    said = " and ".join(str(one) for one in windows)
    return best(values.values()), (
        f"no known material fulfils {said}: candidates are compared with the best known "
        f"{want.property} of all"
    )


def told_of(
    group: LoadedGroup,
    want: Want,
    window: Want,
    materials: Sequence[Material],
    forecasts: Mapping[str, Forecast],
    known: Mapping[str, float],
    best: float,
) -> Told:
    """Arrays of what is said of the materials.

    Parameters
    ----------
    group : LoadedGroup
        The models.
    want, window : Want
        What is wanted, and the same as predictions are held against it.
    materials : sequence of Material
        The candidates.
    forecasts, known : mapping
        By material; together they have all.
    best : float
        The best known value; NaN for a window.

    Raises
    ------
    MissingDataError
        If the models cannot say how large their errors are.
    """
    rows = [forecasts.get(one.material_id) for one in materials]
    values = np.array([known.get(one.material_id, np.nan) for one in materials])
    predicted = _numbers([None if row is None else row.prediction for row in rows])
    unseen = [
        () if row is None else tuple(word for word in row.unseen if word.startswith("element "))
        for row in rows
    ]
    percentile = _numbers([None if row is None else row.percentile for row in rows])
    if want.classes:
        outlook = class_outlook(group, want, rows, values)
        return Told(
            want=want,
            unit=group.parameters.unit,
            group_id=group.group_id,
            predicted=predicted,
            std=outlook.values.scale,
            known=values,
            percentile=percentile,
            unseen=tuple(unseen),
            outlook=outlook,
        )
    std = _numbers([None if row is None else row.std for row in rows])
    lacking = np.isnan(std) & np.isnan(values)
    if lacking.any():
        row = rows[int(np.flatnonzero(lacking)[0])]
        how = "" if row is None else f" ({row.calibration})"
        raise MissingDataError(
            f"the models of {want.property} do not say how large their errors are{how}, so that "
            "nothing has a probability: train with a split whose validation fold has at least "
            f"{FEWEST_ROWS} materials, or choose another model with --model"
        )
    centre = np.where(np.isnan(predicted), 0.0, predicted)
    scale = np.where(np.isnan(std), 0.0, std)
    calibration = group.knowledge.calibration
    assert isinstance(calibration, Calibration)  # of numbers, and nothing else is left here
    values_of = Distribution.of(calibration, centre, scale).knowing(values)
    spread = float(np.std(group.knowledge.domain.targets))
    return Told(
        want=want,
        unit=group.parameters.unit,
        group_id=group.group_id,
        predicted=predicted,
        std=std,
        known=values,
        percentile=percentile,
        unseen=tuple(unseen),
        outlook=Outlook(window, values_of, best, spread if spread > 0 else 1.0),
    )


def _numbers(values: Sequence[Any]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def without_twins(
    material_ids: Sequence[str], structures: Mapping[str, str], known: Mapping[str, int]
) -> tuple[list[str], list[tuple[str, str]]]:
    """Each structure once: of several materials the one of which most is known, then the first.

    Returns
    -------
    list of str
        Those that stay, in their order.
    list of (str, str)
        Each of the others, with the one that stands for it.
    """
    kept: dict[str, str] = {}
    for name in sorted(material_ids, key=lambda one: -known.get(one, 0)):
        kept.setdefault(structures[name], name)
    standing = set(kept.values())
    dropped = [(one, kept[structures[one]]) for one in material_ids if one not in standing]
    return [one for one in material_ids if one in standing], dropped
