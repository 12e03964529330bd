"""What came of screening: every candidate with its rank, and those that are chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.crystal import Crystal
from featurestore.failure import Failure
from featurestore.output.display import Showing, Shown, figure_html, no_picture
from train.display.rounding import rounded
from train.models import SeedGroup
from train.screening.candidates import Material, Told
from train.screening.choice import Choice
from train.screening.distribution import BEYOND
from train.screening.names import PROBABILITY

if TYPE_CHECKING:
    from featurestore.output.figure import Figure

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False, eq=False)
class Screening(Shown):
    """Candidates, ranked and chosen from.

    Parameters
    ----------
    materials : tuple of Material
        All n candidates.
    told : tuple of Told
        What is known and predicted of them, for each want.
    score : ndarray, shape (n,), float64
        By the rule; more is better.
    joint : ndarray, shape (n,), float64
        The probability of fulfilling all wants, errors being independent.
    pareto : ndarray, shape (n,), bool
        Whether no other candidate is at least as good in all that is wanted and better in one: by
        the probability of each window, and the value where the largest or smallest is wanted.
    outside : tuple of str
        Why a candidate is outside the domain of a model; empty where it is not.
    order : tuple of int
        Places of the candidates, best first; those that cannot be chosen last.
    chosen : tuple of int
        Places of those that are chosen, best first.
    choice : Choice
        How.
    crystals : dict of str to Crystal
        The structures of those that are chosen, by material.
    models : tuple of SeedGroup
        What predicted.
    notes : tuple of str
        What a reader of the numbers should know.
    failures, passed_over : dict of str to Failure
        What could not be predicted, and files that hold no structure.
    """

    materials: tuple[Material, ...]
    told: tuple[Told, ...]
    score: Floats
    joint: Floats
    pareto: npt.NDArray[np.bool_]
    outside: tuple[str, ...]
    order: tuple[int, ...]
    chosen: tuple[int, ...]
    choice: Choice
    crystals: Mapping[str, Crystal] = field(repr=False)
    models: tuple[SeedGroup, ...]
    notes: tuple[str, ...]
    failures: Mapping[str, Failure]
    passed_over: Mapping[str, Failure]

    @property
    def chosen_ids(self) -> list[str]:
        """The materials that are chosen, best first."""
        return [self.materials[row].material_id for row in self.chosen]

    @property
    def table(self) -> pa.Table:
        """Every candidate in order, numbers in full.

        ``rank``, ``chosen``, the material; ``score``; ``joint`` with the bounds that hold however
        errors depend on each other, ``joint_at_least`` and ``joint_at_most`` (Fréchet); ``pareto``;
        ``outside``; and for each property its ``value``, ``std``, the middle 90 % from ``lower`` to
        ``upper``, the ``probability`` of what is wanted, ``known`` and ``percentile``, each
        with the property's name before it. Of a property of classes ``value`` is the most probable
        one's name, and there is no ``std``, ``lower`` and ``upper``.
        """
        rows, chosen = list(self.order), set(self.chosen)
        each = np.stack([one.outlook.probability for one in self.told], axis=1)
        least = np.maximum(each.sum(axis=1) - (each.shape[1] - 1), 0.0)
        columns: dict[str, object] = {
            "rank": pa.array(range(1, len(rows) + 1), pa.int64()),
            "chosen": pa.array([row in chosen for row in rows], pa.bool_()),
        }
        for name in ("material_id", "structure_id", "formula", "prototype", "space_group"):
            values = [getattr(self.materials[row], name) for row in rows]
            columns[name] = pa.array(values, pa.string())
        columns |= {
            "score": pa.array(self.score[rows]),
            "joint": pa.array(self.joint[rows]),
            "joint_at_least": pa.array(least[rows]),
            "joint_at_most": pa.array(each.min(axis=1)[rows]),
            "pareto": pa.array(self.pareto[rows]),
            "outside": pa.array([self.outside[row] for row in rows], pa.string()),
        }
        for one in self.told:
            values_of, name = one.outlook.values, one.want.property
            if one.want.classes:
                columns[f"{name}_value"] = pa.array(map(one.class_at, rows), pa.string())
                for what, array in (
                    ("probability", one.outlook.probability),
                    ("percentile", one.percentile),
                ):
                    columns[f"{name}_{what}"] = pa.array(array[rows], from_pandas=True)
                columns[f"{name}_known"] = pa.array(one.is_known[rows])
                continue
            std = np.where(one.is_known, 0.0, one.std)
            numbers = {
                "value": values_of.centre,
                "std": std,
                "lower": values_of.quantile(BEYOND),
                "upper": values_of.quantile(1 - BEYOND),
                "probability": one.outlook.probability,
                "percentile": one.percentile,
            }
            for what, array in numbers.items():
                columns[f"{name}_{what}"] = pa.array(array[rows], from_pandas=True)
            columns[f"{name}_known"] = pa.array(one.is_known[rows])
        return pa.table(columns)

    @property
    def short(self) -> pa.Table:
        """Those that are chosen, for reading: numbers rounded to their error."""
        rows = list(self.chosen)
        columns: dict[str, list[str]] = {
            "material_id": [self.materials[row].material_id for row in rows],
            "formula": [self.materials[row].formula for row in rows],
            "space_group": [self.materials[row].space_group for row in rows],
        }
        for one in self.told:
            unit = "" if one.want.classes else f" ({one.unit})"
            columns[f"{one.want.property}{unit}"] = [_value(one, row) for row in rows]
            probability = one.outlook.probability
            if len(self.told) > 1:
                columns[f"P({one.want})"] = [
                    _share(probability[row], 0.0 if one.is_known[row] else one.resolution)
                    for row in rows
                ]
        wants = self.told[0].want if len(self.told) == 1 else "all"
        columns[f"P({wants})"] = [_share(self.joint[row], self._least(row)) for row in rows]
        if self.choice.rule != PROBABILITY:
            columns[self.choice.rule] = [f"{self.score[row]:.3g}" for row in rows]
        columns["pareto"] = ["yes" if self.pareto[row] else "" for row in rows]
        columns["outside"] = [self.outside[row] for row in rows]
        # without rows a column's type would not be known
        return pa.table({name: pa.array(cells, pa.string()) for name, cells in columns.items()})

    def _least(self, row: int) -> float:
        """The least joint probability of a candidate that validation rows can show."""
        return max((one.resolution for one in self.told if not one.is_known[row]), default=0.0)

    def showing(self) -> Showing:
        """Those that are chosen."""
        facts = {
            "wanted": ", ".join(str(one.want) for one in self.told),
            "chosen by": self.choice.rule,
            "on the Pareto front": f"{int(self.pareto.sum()):,}",
        }
        if self.failures:
            facts["failed"] = f"{len(self.failures):,}"
        title = f"{len(self.chosen):,} of {len(self.materials):,} candidates"
        picture = (lambda: figure_html(self.figure(), title)) if self.chosen else no_picture
        return Showing(title, facts, self.short, self.notes, picture)

    def figure(self) -> Figure:
        """The chosen and all candidates, see `train.screening.figure.screening_figure`."""
        from train.screening.figure import screening_figure

        return screening_figure(self)


def _value(one: Told, row: int) -> str:
    if one.want.classes:
        return one.class_at(row) + (" known" if one.is_known[row] else "")
    value = float(one.outlook.values.centre[row])
    if one.is_known[row]:
        return f"{value:.6g} known"
    std = float(one.std[row])
    return f"{rounded(value, std)} ± {rounded(std, std)}"


def _share(value: float, least: float) -> str:
    """A probability; of one that is less than any row could show only that is said."""
    if value < least:
        return f"< {least:.2g}"
    if value > 1 - least:
        return f"> {1 - least:.2g}"
    return f"{value:.2g}" if value < 0.01 else f"{value:.2f}"
