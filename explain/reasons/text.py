"""Why a material got its forecast, as lines of a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from explain.drawing.printed import number, signed
from explain.words.contributions import Contribution, Contributions
from featurestore.output.labels import printed_after
from train.display.rounding import rounded

if TYPE_CHECKING:
    from explain.reasons.cases import Why

_STRONGEST = 5
_WIDTH = 62


def case_text(case: Why) -> str:
    """The forecast, the strongest sentences, the tags, the parts of the features, what is near."""
    return "\n".join(_lines(case))


def _lines(case: Why) -> Iterator[str]:
    f = case.forecast
    unit = printed_after(case.unit)
    error = "" if f.std is None else f" ± {rounded(f.std, f.std)}"
    value = f"{rounded(f.prediction, f.std)}{error}{unit}"
    if f.classes:
        value = f"{f.named(f.prediction)}, probability {max(f.probabilities):.2g}"
    what = "probability of that class" if f.classes else "prediction"
    yield f"Why {f.property} of {f.material_id} ({f.formula}) is {value}:"
    yield f"what the {what} loses without each part of what the models were given"
    for found in case.texts:
        yield from _of_text(found, unit)
    if case.segments:
        yield "  each part of the features replaced by its training mean"
        for one in sorted(case.segments, key=lambda one: -abs(one.mean)):
            yield f"  {signed(one.mean):>9}{unit}{_spread(one.std)}  {one.name}"
    if case.nearest:
        yield "  nearest known materials"
        for known in case.nearest:
            formula = "" if known.formula is None else f" ({known.formula})"
            target = f.named(known.target) if f.classes else f"{number(known.target)}{unit}"
            yield f"  {target:>{9 + len(unit)}}  {known.material_id}{formula}"
    for note in case.notes:
        yield f"  Note: {note}"


def _of_text(found: Contributions, unit: str) -> Iterator[str]:
    parts = sorted(found.parts, key=lambda part: -abs(part.mean))
    shown = parts[:_STRONGEST]
    more = f", the {len(shown)} strongest of {len(parts)}" if len(parts) > len(shown) else ""
    yield f"  {found.text.name}: {found.how}{more}"
    for part in shown:
        says = textwrap.shorten(part.unit.text, _WIDTH, placeholder=" …")
        yield f"  {signed(part.mean):>9}{unit}{_spread(part.std)}  {says}{_control(part, unit)}"


def _spread(std: float | None) -> str:
    return "" if std is None else f" ± {number(std, 2)}"


def _control(part: Contribution, unit: str) -> str:
    if part.control is None:
        return ""
    return (
        f" (as many random sentences: {number(part.control)}{unit}; more than "
        f"{part.larger_than} of {len(part.controls)} draws)"
    )
