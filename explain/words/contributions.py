"""What each word, sentence or tag of one material adds to its prediction, as the store has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from explain.drawing.printed import number
from explain.erasing.outputs import output_unit
from explain.erasing.stored import stored_erasures
from explain.erasing.texts import ErasedText
from explain.words.description import Description, Unit
from featurestore.output.display import Showing, Shown
from featurestore.session import Session
from train.display.labels import printed_after
from train.models import SeedGroup, StoredModel


@dataclass(frozen=True)
class Contribution:
    """What a part adds to the prediction: the prediction with it minus the one without it.

    Parameters
    ----------
    unit : Unit
        The part.
    by_seed : tuple of float
        One value for each model, in the unit of the property.
    """

    unit: Unit
    by_seed: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over the seeds: positive where the part raises the prediction."""
        return float(np.mean(self.by_seed))

    @property
    def std(self) -> float | None:
        """Sample standard deviation over the seeds; None for a single one."""
        return float(np.std(self.by_seed, ddof=1)) if len(self.by_seed) > 1 else None


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
    target, prediction : float
        The latter with the full text, mean over the seeds.
    parts : tuple of Contribution
        In the order of the text.
    """

    models: SeedGroup
    text: ErasedText
    description: Description = field(repr=False)
    kind: str
    erasure: str
    target: float
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
        return Showing(f"{title}, {self.how}", {"prediction": of}, shown)

    @property
    def how(self) -> str:
        """What was done, as "each word deleted"."""
        return f"each {self.kind} {'deleted' if self.erasure == 'deletion' else 'masked'}"

    @property
    def largest(self) -> float:
        """The largest absolute contribution, to which colours are scaled; never zero."""
        return max(*(abs(part.mean) for part in self.parts), 0.0) or 1.0

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
    unit = printed_after(output_unit(found.models.first))
    seeds = f", mean of {len(found.models)} seeds" if len(found.models) > 1 else ""
    return [
        f"{description.formula} ({description.material_id}), {description.source}",
        f"{p.property}: probability of the predicted class {number(found.prediction)}{seeds}"
        if p.classes
        else f"{p.property}: target {number(found.target)}{unit}, prediction "
        f"{number(found.prediction)}{unit}{seeds}",
    ]


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
    units = description.units(kind)
    of = {unit.variant(erasure): unit for unit in units}
    rows = stored_erasures(
        session,
        models,
        text.method(erasure),
        variants=list(of),
        materials=[description.material_id],
    )
    if len(rows.variants) < len(of):
        return None
    place = {variant: i for i, variant in enumerate(rows.variants)}
    parts = tuple(
        Contribution(unit, tuple(float(-x) for x in rows.changes[place[variant], :, 0]))
        for variant, unit in of.items()
    )
    return Contributions(
        models=SeedGroup(tuple(models)),
        text=text,
        description=description,
        kind=kind,
        erasure=erasure,
        target=float(rows.targets[0]),
        prediction=float(rows.predictions[:, 0].mean()),
        parts=parts,
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
            "target": pa.repeat(found.target, len(found.parts)),
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
