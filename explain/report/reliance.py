"""What a model relies on, as the stored explanations say it."""

from __future__ import annotations

import math
import shlex

from explain.erasing.effects_table import Measure, StoredEffects, stored_effects
from explain.erasing.texts import ErasedText, erased_texts
from explain.report.model import EffectRow, Part
from explain.segments.analysis import can_be_silenced, is_text, stored_segment_effects
from explain.segments.figure import segment_label
from featurestore.errors import MissingDataError
from featurestore.session import Session
from train.analysis.resampling import Estimate
from train.models import SeedGroup

_CHANGE = "comprehensiveness"


def relied_on(session: Session, models: SeedGroup, store_uri: str) -> tuple[tuple[Part, ...], str]:
    """What stored explanations say of tags and of segments, and how to read it."""
    if crossed := models[0].cross_validation:
        why = (
            "The model learned from all its materials, and its errors are of the models of its "
            f"cross-validation: see what one of these relies on, as {crossed['models'][0]}."
        )
        return (
            Part(title="What it relies on", first="", explanation="", rows=(), why_not=why),
        ), ""
    arguments = shlex.join([x for model in models for x in ("--model", model.model_id)])
    place = f" --store {shlex.quote(store_uri)}" if store_uri else ""
    parts = (
        *_tags(session, models, f"featurestore explain tags {arguments}{place}"),
        _segments(session, models, f"featurestore explain segments {arguments}{place}"),
    )
    note = (
        "p is of a two-sided sign-flip test, corrected by Holm's method for the number of rows of "
        "its table; open marks are p ≥ 0.05. The tables share one scale. Bars are 95 % intervals "
        "over materials."
    )
    return parts, note if any(part.rows for part in parts) else ""


def _tags(session: Session, models: SeedGroup, command: str) -> tuple[Part, ...]:
    p = models[0].parameters
    title, first = "Kinds of sentences", "tag"
    if not p.texts:
        return (
            Part(
                title=title,
                first=first,
                explanation="",
                rows=(),
                command=None,
                why_not="The model reads no text.",
            ),
        )
    variants = sorted({text.variant for text in p.texts} - {"full"})
    if variants:
        note = f"The model was trained on texts {', '.join(variants)}."
        return (
            Part(title=title, first=first, explanation="", rows=(), command=None, why_not=note),
        )
    parts = []
    for text in erased_texts(session, models[0]):
        of = title if text.alone else f"{title} of {text.name}"
        parts.append(_tags_of(session, models, text, of, command))
    return tuple(parts)


def _tags_of(
    session: Session, models: SeedGroup, text: ErasedText, title: str, command: str
) -> Part:
    first = "tag"
    try:
        (found,) = stored_effects(
            session, [(models, text.method("deletion"))], {"fold": "test", "tagger": "store"}
        )
    except MissingDataError:
        return Part(title=title, first=first, explanation="", rows=(), command=command)
    rows = tuple(_tag_row(found, tag) for tag in found.tags if found.find(_CHANGE, tag))
    return Part(
        title=title,
        first=first,
        explanation="Each tag's sentences are deleted and the model, as it is, predicts again. A "
        "long tag has more to lose: 'beyond random' is the change minus that with as many random "
        "sentences deleted. The Shapley values share out among the tags how much worse an empty "
        "text is, which no model has been trained on.",
        rows=rows,
        command=command,
    )


def _tag_row(found: StoredEffects, tag: str) -> EffectRow:
    change = found.find(_CHANGE, tag)
    assert change is not None
    moved = found.find("prediction_change", tag)
    return EffectRow(
        label=tag,
        difference=_estimate(change),
        p=change.p_holm,
        moved=None if moved is None else moved.value,
        colour="orange",
        more=tuple(
            None if (of := found.find(name, tag)) is None else _estimate(of)
            for name in ("over_control", "shapley")
        ),
    )


def _estimate(measure: Measure) -> Estimate:
    bounds = (math.nan if x is None else x for x in (measure.low, measure.high))
    return Estimate(measure.value, *bounds)


def _segments(session: Session, models: SeedGroup, command: str) -> Part:
    title, first = "Structure against text", "part of the vector"
    if not can_be_silenced(models[0]):
        return Part(
            title=title,
            first=first,
            explanation="",
            rows=(),
            command=None,
            why_not="The model has no structure vector.",
        )
    found = stored_segment_effects(session, models, "test")
    return Part(
        title=title,
        first=first,
        explanation="Each part of the vector is replaced by its mean over the training materials, "
        "so that it says the same for every material. What one part says another may say, too.",
        rows=tuple(
            EffectRow(
                label=segment_label(effect.segment),
                difference=effect.difference,
                p=effect.p,
                moved=effect.change.value,
                colour="orange" if is_text(effect.segment) else "blue",
            )
            for effect in found.effects
        ),
        command=command,
    )
