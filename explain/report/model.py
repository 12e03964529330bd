"""What a report holds, section by section, as values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from explain.drawing.pages import Scale, scale
from explain.drawing.printed import fixed
from explain.erasing.outputs import output_unit
from explain.words.contributions import Contributions
from explain.words.description import Description
from featurestore.history.nodes import Node
from featurestore.output.labels import printed_after
from train.analysis.groups import GroupErrors
from train.analysis.resampling import Estimate
from train.models import SeedGroup, StoredModel

if TYPE_CHECKING:
    from explain.report.class_errors import ClassErrors
    from explain.report.parity import Parity
    from explain.report.verdict import Verdict


@dataclass(frozen=True)
class FoldRow:
    """The errors on one fold.

    Parameters
    ----------
    error : Estimate
        The MAE, or of classes the Brier score.
    seeds_std : float or None
        Of the error over the seeds; None for a single one.
    measures : mapping of str to (float or None)
        ``r2``, or of classes the other metrics, means over the seeds; None where not defined.
    """

    fold: str
    n: int
    error: Estimate
    seeds_std: float | None
    measures: Mapping[str, float | None]


@dataclass(frozen=True)
class MaterialRow:
    """A material with its mean prediction; ``error`` is prediction minus target.

    Of classes target and prediction are places, ``error`` is the Brier score, and
    ``probabilities`` are those of all classes.
    """

    material_id: str
    formula: str
    space_group: str
    crystal_system: str
    target: float
    prediction: float
    error: float
    probabilities: tuple[float, ...] = ()


@dataclass(frozen=True)
class EffectRow:
    """A line of a table of effects.

    Parameters
    ----------
    label : str
        What was taken away.
    difference : Estimate
        The MAE without it minus the MAE with it; of classes how much less probable the class is
        that is predicted with it.
    p : float or None
        Corrected for the number of rows.
    moved : float or None
        Mean change of the prediction: absolute of segments, signed of tags.
    colour : str
        Of its mark.
    more : tuple of (Estimate or None)
        For tags the difference beyond random sentences, and the Shapley value.
    """

    label: str
    difference: Estimate
    p: float | None
    moved: float | None
    colour: str
    more: tuple[Estimate | None, ...] = ()


@dataclass(frozen=True)
class Part:
    """A table of what the model relies on; without rows the command that makes them."""

    title: str
    first: str
    explanation: str
    rows: tuple[EffectRow, ...]
    command: str | None = None
    why_not: str = ""


@dataclass(frozen=True)
class Neighbour:
    """A material near another in one space of vectors."""

    material_id: str
    formula: str
    fold: str
    target: float
    cosine: float


@dataclass(frozen=True)
class WorkedMaterial:
    """One material in full."""

    row: MaterialRow
    why: str
    description: Description | None
    texts: tuple[Contributions, ...]
    command: str | None
    neighbours: tuple[tuple[str, tuple[Neighbour, ...]], ...]


@dataclass(frozen=True)
class MetFormulas:
    """Test materials with a formula that the training has met, and the error on the others."""

    n: int
    of: int
    error: Estimate


@dataclass(frozen=True)
class Report:
    """Everything on the page; errors and effects are of the test fold.

    ``parity`` is of numbers, ``of_classes`` of classes; None without a test fold.
    """

    models: SeedGroup
    verdict: Verdict
    notes: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    folds: tuple[FoldRow, ...]
    constant: float | None
    met: MetFormulas | None
    parity: Parity | None
    of_classes: ClassErrors | None
    groups: tuple[GroupErrors, ...]
    worst: tuple[MaterialRow, ...]
    parts: tuple[Part, ...]
    effect_note: str
    materials: tuple[WorkedMaterial, ...]
    lineage: Node = field(repr=False)

    @property
    def first(self) -> StoredModel:
        """The model with the lowest seed."""
        return self.models.first

    @property
    def unit(self) -> str:
        """The unit of errors and effects: the property's, or that of a probability."""
        return output_unit(self.first)

    @property
    def error_name(self) -> str:
        """What the error is, in short."""
        return self.first.task.error_name

    @property
    def classes(self) -> tuple[str, ...]:
        """Those of the property; none of one of numbers."""
        return self.first.parameters.classes

    def value(self, value: float) -> str:
        """A target or a prediction: a class, or a number with its unit."""
        if self.classes:
            return self.classes[int(value)]
        return fixed(value, self.decimals) + printed_after(self.unit)

    @property
    def decimals(self) -> int:
        """Decimals of targets and predictions, by the size of the largest error."""
        worst = max((abs(row.error) for row in self.worst), default=1.0) or 1.0
        return min(max(3 - math.floor(math.log10(worst)), 0), 8)

    @property
    def fold_scale(self) -> Scale:
        """The width on which the errors of the folds are drawn."""
        return scale([x for row in self.folds for x in (row.error.value, row.error.high)])

    @property
    def group_scale(self) -> Scale:
        """The width on which the errors of the groups are drawn."""
        return scale([x for group in self.groups for x in (group.error.value, group.error.high)])

    @property
    def has_small_groups(self) -> bool:
        """Whether a group has too few materials for an interval."""
        return any(math.isnan(group.error.low) for group in self.groups)

    @property
    def effect_scale(self) -> Scale:
        """The width on which all effects are drawn, so that text and structure compare."""
        of = [row.difference for part in self.parts for row in part.rows]
        return scale([x for one in of for x in (one.value, one.low, one.high)])
