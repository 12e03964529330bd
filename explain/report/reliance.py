"""What a model relies on, as the stored explanations say it."""

from __future__ import annotations

import math
import shlex

from explain.erasing.effects_table import Measure, StoredEffects, stored_effects
from explain.report.model import EffectRow, Part
from explain.segments.analysis import stored_segment_effects
from explain.segments.figure import segment_label
from featurestore.errors import MissingDataError
from featurestore.session import Session
from train.analysis.resampling import Estimate
from train.models import StoredModel

_CHANGE = "comprehensiveness"


def relied_on(
    session: Session, models: tuple[StoredModel, ...], store_uri: str
) -> tuple[tuple[Part, ...], str]:
    """What stored explanations say of tags and of segments, and how to read it."""
    arguments = shlex.join([x for model in models for x in ("--model", model.model_id)])
    place = f" --store {shlex.quote(store_uri)}" if store_uri else ""
    parts = (
        _tags(session, models, f"featurestore explain tags {arguments}{place}"),
        _segments(session, models, f"featurestore explain segments {arguments}{place}"),
    )
    note = (
        "p is of a two-sided sign-flip test, corrected by Holm's method for the number of rows of "
        "its table. The tables share one scale. Bars are 95 % intervals over materials."
    )
    return parts, note if any(part.rows for part in parts) else ""


def _tags(session: Session, models: tuple[StoredModel, ...], command: str) -> Part:
    p = models[0].parameters
    title, first = "Kinds of sentences", "tag"
    if p.generator_id is None:
        return Part(title, first, "", (), None, "The model reads no text.")
    if p.variant != "full":
        return Part(title, first, "", (), None, f"The model was trained on texts {p.variant}.")
    try:
        (found,) = stored_effects(
            session, [models], "deletion", {"fold": "test", "tagger": "store"}
        )
    except MissingDataError:
        return Part(title, first, "", (), command)
    rows = tuple(_tag_row(found, tag) for tag in found.tags if found.find(_CHANGE, tag))
    return Part(
        title,
        first,
        "Each tag's sentences are deleted and the model, as it is, predicts again. A long tag has "
        "more to lose: 'beyond random' is the change minus that with as many random sentences "
        "deleted. The Shapley values share out among the tags how much worse an empty text is, "
        "which no model has been trained on.",
        rows,
        command,
    )


def _tag_row(found: StoredEffects, tag: str) -> EffectRow:
    change = found.find(_CHANGE, tag)
    assert change is not None
    moved = found.find("prediction_change", tag)
    return EffectRow(
        tag,
        _estimate(change),
        change.p_holm,
        None if moved is None else moved.value,
        "orange",
        tuple(
            None if (of := found.find(name, tag)) is None else _estimate(of)
            for name in ("over_control", "shapley")
        ),
    )


def _estimate(measure: Measure) -> Estimate:
    bounds = (math.nan if x is None else x for x in (measure.low, measure.high))
    return Estimate(measure.value, *bounds)


def _segments(session: Session, models: tuple[StoredModel, ...], command: str) -> Part:
    title, first = "Structure against text", "part of the vector"
    if models[0].parameters.structure_encoder is None:
        return Part(title, first, "", (), None, "The model has no structure vector.")
    found = stored_segment_effects(session, models, "test")
    return Part(
        title,
        first,
        "Each part of the vector is replaced by its mean over the training materials, so that it "
        "says the same for every material. What one part says another may say, too.",
        tuple(
            EffectRow(
                segment_label(effect.segment),
                effect.difference,
                effect.p,
                effect.change.value,
                "orange" if effect.segment.startswith("text") else "blue",
            )
            for effect in found.effects
        ),
        command,
    )
