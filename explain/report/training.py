"""How a model was trained: its facts, its runs, and what a reader should know."""

from __future__ import annotations

from collections.abc import Sequence

from featurestore.classes import shown_unit
from featurestore.history.nodes import Node, RunRecord
from featurestore.output.labels import printed_unit
from featurestore.session import Session
from featurestore.views.renamed import view_then
from featurestore.views.request import FOLDS
from featurestore.views.view import TrainingView
from train.display.labels import predictor_label
from train.models import StoredModel


def training_notes(view: TrainingView, model: StoredModel) -> tuple[str, ...]:
    """What a reader should know before the numbers: whether the store has changed since."""
    notes = []
    then = view_then(view, model.trained_as, model.renamed) if model.renamed else view
    if then.fingerprint != model.view_fingerprint:
        notes.append(
            "The store's rows are no longer those that the model was trained on: its training "
            f"view has the fingerprint {then.fingerprint[:12]} now, then it had "
            f"{model.view_fingerprint[:12]}. Errors are of the stored predictions; neighbours "
            "are of today's vectors."
        )
    if crossed := model.cross_validation:
        notes.append(
            "The model learned from all its materials. Each prediction here is out of fold: of the "
            f"one of {crossed['folds']} models of {crossed['split']!r} that did not learn from the "
            "material."
        )
    return tuple(notes)


def model_facts(
    session: Session, models: Sequence[StoredModel], view: TrainingView, lineage: Node
) -> tuple[tuple[str, str], ...]:
    """Name and value of everything the model was made from."""
    first, p = models[0], models[0].parameters
    unit = "no unit" if p.unit == "1" else printed_unit(shown_unit(p.unit))
    folds = first.metrics["folds"]
    facts = [
        ("property", f"{p.property} ({unit}), from {p.property_source}"),
        ("features", p.features_name),
        ("predictor", predictor_label(first)),
        ("seeds", ", ".join(str(model.seed) for model in models)),
        ("structure encoder", p.structure_encoder or ""),
        ("text", p.generator_id or ""),
        ("text variant", p.variant if p.generator_id else ""),
        ("text encoder", p.text_encoder or ""),
        *(("feature", feature) for feature in p.inputs),
        ("only where", p.where or ""),
        ("split", f"{p.split}: " + ", ".join(f"{folds[fold]['n']:,} {fold}" for fold in FOLDS)),
        ("left out", ", ".join(f"{n:,} without a {what}" for what, n in view.excluded.items())),
        ("view fingerprint", first.view_fingerprint),
        *run_facts(lineage.runs),
        ("models", ", ".join(model.model_id for model in models)),
    ]
    return tuple((name, value) for name, value in facts if value)


def run_facts(runs: Sequence[RunRecord]) -> list[tuple[str, str]]:
    """Name and value of the run that trained the model; none if it is not on record."""
    if not runs:
        return []
    run = runs[0]
    when = f", {run.started_at:%Y-%m-%d %H:%M} UTC" if run.started_at else ""
    versions = ", ".join(f"{name} {version}" for name, version in sorted(run.versions.items()))
    return [
        ("run", f"{run.run_id}: featurestore {run.command}{when}"),
        ("commit", run.git_commit or ""),
        ("versions", versions),
    ]
