"""What each word, sentence or tag of one material adds to its prediction, as the store has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from explain.drawing.printed import number
from explain.erasing.outputs import output_unit
from explain.erasing.stored import stored_erasures
from explain.erasing.texts import ErasedText
from explain.words.description import Description, Unit
from featurestore.output.display import Showing, Shown
from featurestore.output.labels import formula_text, printed_after, property_title
from featurestore.session import Session
from train.models import SeedGroup, StoredModel

if TYPE_CHECKING:
    from featurestore.output.figure import Figure


class OverSeeds:
    """What a part adds by each of several seeds."""

    by_seed: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over the seeds: positive where the part raises the prediction."""
        return float(np.mean(self.by_seed))

    @property
    def std(self) -> float | None:
        """Sample standard deviation over the seeds; None for a single one."""
        return float(np.std(self.by_seed, ddof=1)) if len(self.by_seed) > 1 else None


@dataclass(frozen=True)
class Contribution(OverSeeds):
    """What a part adds to the prediction: the prediction with it minus the one without it.

    Parameters
    ----------
    unit : Unit
        The part.
    by_seed : tuple of float
        One value for each model, in the unit of the property.
    controls : tuple of float
        What as many random sentences add, for each draw the mean over the models; empty where
        none were drawn.
    """

    unit: Unit
    by_seed: tuple[float, ...]
    controls: tuple[float, ...] = ()

    @property
    def control(self) -> float | None:
        """Mean size of what random sentences add, over the draws; None where none were drawn."""
        return float(np.mean(np.abs(self.controls))) if self.controls else None

    @property
    def larger_than(self) -> int | None:
        """How many of the draws move the prediction less than the part; None without draws."""
        if not self.controls:
            return None
        return sum(abs(one) < abs(self.mean) for one in self.controls)


@dataclass(frozen=True, repr=False)
class Contributions(Shown):
    """The contributions of all parts of one kind to one material's prediction.

    Parameters
    ----------
    models : SeedGroup
        Models that differ only by their seed.
    text : ErasedText
        Which of the models' texts.
    description : Description
        Its sentences and words.
    kind, erasure : str
        "word", "number", "sentence" or "tag"; "deletion" or "mask".
    target : float or None
        None for a material that the models have not learned from nor were tested on.
    prediction : float
        With the full text, mean over the seeds.
    parts : tuple of Contribution
        In the order of the text.
    """

    models: SeedGroup
    text: ErasedText
    description: Description = field(repr=False)
    kind: str
    erasure: str
    target: float | None
    prediction: float
    parts: tuple[Contribution, ...] = field(repr=False)

    @property
    def table(self) -> pa.Table:
        """One row for each part; see `contributions_table`."""
        return contributions_table(self)

    def showing(self) -> Showing:
        """The parts with their contributions."""
        title, of = caption(self)
        shown = self.table.select(["tag", "text", "contribution", "seeds_std"])
        return Showing(f"{title}, {self.how}", {"prediction": of}, shown, picture=self.coloured)

    def coloured(self) -> str:
        """The coloured text as HTML, as it stands on the page."""
        from explain.drawing.pages import render_coloured

        return render_coloured(self)

    def figure(self) -> Figure:
        """The coloured text as a figure, see `explain.words.figure.text_figure`."""
        from explain.words.figure import text_figure

        return text_figure(self)

    @property
    def how(self) -> str:
        """What was done, as "each word deleted"."""
        return f"each {self.kind} {'deleted' if self.erasure == 'deletion' else 'masked'}"

    @property
    def largest(self) -> float:
        """The largest absolute contribution; never zero."""
        return max(*(abs(part.mean) for part in self.parts), 0.0) or 1.0

    @property
    def moves(self) -> bool:
        """Whether any part changes the prediction."""
        return any(part.mean for part in self.parts)

    @property
    def reach(self) -> str:
        """How far the parts move the prediction, as "by up to 1.2 K"."""
        if not self.moves:
            return f"by nothing: no {self.kind} changes it"
        return f"by up to {number(self.largest)}{printed_after(self.unit_of_contributions)}"

    @property
    def unit_of_contributions(self) -> str:
        """The unit of the prediction and of what parts add to it."""
        return output_unit(self.models.first)

    def by_word(self) -> npt.NDArray[np.float64]:
        """The contribution of the part that each word belongs to, NaN for none: shape (words,)."""
        values = np.full(len(self.description.words), np.nan)
        for part in self.parts:
            values[list(part.unit.positions)] = part.mean
        return values


def caption(found: Contributions) -> list[str]:
    """Two lines: whose text it is, and what was predicted from it."""
    p, description = found.models.parameters, found.description
    title = property_title(p.property)
    unit = printed_after(output_unit(found.models.first))
    seeds = f", mean of {len(found.models)} seeds" if len(found.models) > 1 else ""
    target = "" if found.target is None else f"target {number(found.target)}{unit}, "
    return [
        f"{formula_text(description.formula)} ({description.material_id}), {description.source}",
        f"{title}: probability of the predicted class {number(found.prediction)}{seeds}"
        if p.classes
        else f"{title}: {target}prediction {number(found.prediction)}{unit}{seeds}",
    ]


def contributions_of(
    models: Sequence[StoredModel],
    text: ErasedText,
    description: Description,
    kind: str,
    erasure: str,
    *,
    target: float | None,
    predictions: npt.NDArray[np.float64],
    erased: Mapping[str, npt.NDArray[np.float64]],
) -> Contributions:
    """The contributions of a text's parts from predictions with it and without each.

    Parameters
    ----------
    predictions : ndarray, shape (seeds,), float64
        With the full text.
    erased : mapping of str to ndarray, shape (seeds,), float64
        By variant, of every part of the kind.
    """
    parts = tuple(
        Contribution(unit, tuple(map(float, predictions - erased[unit.variant(erasure)])))
        for unit in description.units(kind)
    )
    return Contributions(
        models=SeedGroup(tuple(models)),
        text=text,
        description=description,
        kind=kind,
        erasure=erasure,
        target=target,
        prediction=float(predictions.mean()),
        parts=parts,
    )


def stored_contributions(
    session: Session,
    models: Sequence[StoredModel],
    text: ErasedText,
    description: Description,
    kind: str,
    erasure: str,
) -> Contributions | None:
    """Read what `word_effects` has stored; None unless every part has its row.

    Raises
    ------
    InvalidInputError
        If the text has no parts of the kind.
    """
    variants = [unit.variant(erasure) for unit in description.units(kind)]
    rows = stored_erasures(
        session,
        models,
        text.method(erasure),
        variants=variants,
        materials=[description.material_id],
    )
    if len(rows.variants) < len(set(variants)):
        return None
    return contributions_of(
        models,
        text,
        description,
        kind,
        erasure,
        target=float(rows.targets[0]),
        predictions=rows.predictions[:, 0],
        erased={variant: rows.erased[i, :, 0] for i, variant in enumerate(rows.variants)},
    )


def contributions_table(found: Contributions) -> pa.Table:
    """One row for each part, in order; contributions in ``unit``."""
    p = found.models.parameters
    tags = [sentence.tag for sentence in found.description.sentences for _ in sentence.words]
    return pa.table(
        {
            "material_id": pa.repeat(found.description.material_id, len(found.parts)),
            "formula": pa.repeat(found.description.formula, len(found.parts)),
            "property": pa.repeat(p.property, len(found.parts)),
            "text_source": pa.repeat(found.description.source, len(found.parts)),
            "seeds": pa.repeat(len(found.models), len(found.parts)),
            "erasure": pa.repeat(found.erasure, len(found.parts)),
            "target": pa.array([found.target] * len(found.parts), pa.float64()),
            "prediction": pa.repeat(found.prediction, len(found.parts)),
            "part": [part.unit.part for part in found.parts],
            "tag": [tags[part.unit.positions[0]] for part in found.parts],
            "text": [part.unit.text for part in found.parts],
            "without": [found.prediction - part.mean for part in found.parts],
            "contribution": [part.mean for part in found.parts],
            "seeds_std": pa.array([part.std for part in found.parts], pa.float64()),
            "unit": pa.repeat(output_unit(found.models.first), len(found.parts)),
        }
    )
