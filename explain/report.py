"""One page on a stored model: what it learned from, how far off it is, what it relies on."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from explain.contributions import Contributions, stored_contributions
from explain.described import Description, describe
from explain.effects_table import Measure, StoredEffects, stored_effects
from explain.kinds import ERASURES
from explain.pages import Scale, scale, write_page
from explain.printed import number
from explain.rows import StoredPredictions, check_encoders, seed_siblings, stored_predictions
from explain.segments import parts as vector_parts
from explain.segments import stored_segment_effects
from explain.segments_figure import segment_label
from featurestore.errors import MissingDataError, UnknownNameError
from featurestore.history.lineage import Node, RunRecord, model_lineage
from featurestore.search.exact import ExactSearch
from featurestore.session import Session
from featurestore.view_request import FOLDS, GRAPH
from featurestore.views import TrainingView, load_view
from train.display import predictor_label, printed_unit
from train.groups import GroupErrors, group_errors
from train.metrics import regression_metrics
from train.models import StoredModel
from train.resampling import Estimate, mean_estimates

_CHANGE = "comprehensiveness"
_WORST = 10
_NEIGHBOURS = 5
_WORKED = 3
_LEAST_IN_GROUP = 5
_TITLED_POINTS = 3000
# The frame of the parity plot in the units of its drawing.
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 332.0, 6.0, 292.0


@dataclass(frozen=True)
class FoldRow:
    """The errors on one fold; ``seeds_std`` is None for a single seed, ``r2`` where undefined."""

    fold: str
    n: int
    mae: Estimate
    seeds_std: float | None
    r2: float | None


@dataclass(frozen=True)
class Parity:
    """Predicted against target: points and ticks in the units of the drawing."""

    title: str
    points: list[dict[str, Any]]
    ticks: list[dict[str, Any]]
    opacity: float


@dataclass(frozen=True)
class MaterialRow:
    """A material with its mean prediction; ``error`` is prediction minus target."""

    material_id: str
    formula: str
    space_group: str
    crystal_system: str
    target: float
    prediction: float
    error: float


@dataclass(frozen=True)
class EffectRow:
    """A line of a table of effects.

    Parameters
    ----------
    label : str
        What was taken away.
    difference : Estimate
        The MAE without it minus the MAE with it.
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
    """Test materials with a formula that the training has met, and the MAE on the others."""

    n: int
    of: int
    mae: Estimate


@dataclass(frozen=True)
class Report:
    """Everything on the page; errors and effects are of the test fold."""

    models: tuple[StoredModel, ...]
    notes: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    folds: tuple[FoldRow, ...]
    constant: float | None
    met: MetFormulas | None
    parity: Parity | None
    groups: tuple[GroupErrors, ...]
    worst: tuple[MaterialRow, ...]
    parts: tuple[Part, ...]
    effect_note: str
    materials: tuple[WorkedMaterial, ...]
    lineage: Node = field(repr=False)

    @property
    def first(self) -> StoredModel:
        """The model with the lowest seed."""
        return self.models[0]

    @property
    def unit(self) -> str:
        """The unit of the property."""
        return self.first.parameters.unit

    @property
    def decimals(self) -> int:
        """Decimals of targets and predictions, by the size of the largest error."""
        worst = max((abs(row.error) for row in self.worst), default=1.0) or 1.0
        return min(max(3 - math.floor(math.log10(worst)), 0), 8)

    @property
    def fold_scale(self) -> Scale:
        """The width on which the errors of the folds are drawn."""
        return scale([x for row in self.folds for x in (row.mae.value, row.mae.high)])

    @property
    def group_scale(self) -> Scale:
        """The width on which the errors of the groups are drawn."""
        return scale([x for group in self.groups for x in (group.mae.value, group.mae.high)])

    @property
    def effect_scale(self) -> Scale:
        """The width on which all effects are drawn, so that text and structure compare."""
        of = [row.difference for part in self.parts for row in part.rows]
        return scale([x for one in of for x in (one.value, one.low, one.high)])


def write_report(
    session: Session, name: str, path: Path, materials: Sequence[str] = (), store_uri: str = ""
) -> Report:
    """Write the page for a model and its seeds.

    Nothing is computed that belongs into the store: what has not been measured is named with the
    command that measures it.

    Parameters
    ----------
    session : Session
        Where everything comes from.
    name : str
        Model id or its beginning; models that differ only by their seed are averaged.
    path : Path
        The HTML file.
    materials : sequence of str
        Test materials to show in full. By default those whose words have been measured, then
        the best, the median and the worst predicted, three in all.
    store_uri : str
        For the commands on the page.

    Raises
    ------
    UnknownNameError
        If there is no such model, one of its encoders or its generator is gone, or it has no
        prediction for one of the materials.
    InvalidInputError
        If several models are so named.
    MissingDataError
        If the model's rows are gone from the store.
    StorageError
        If the file cannot be written.
    """
    report = collect(session, name, materials, store_uri)
    write_page("report.html", path, report=report)
    return report


def collect(
    session: Session, name: str, materials: Sequence[str] = (), store_uri: str = ""
) -> Report:
    """What `write_report` puts on the page."""
    models = seed_siblings(session, name)
    first = models[0]
    check_encoders(session, first)
    stored = stored_predictions(session, models)
    view = load_view(session, first.parameters)
    lineage = model_lineage(session, first.model_id)
    test = stored.in_fold("test")
    known = _material_rows(session, stored)
    parts, note = _relied_on(session, models, store_uri)
    return Report(
        models,
        _notes(view, first),
        _facts(session, models, view, lineage),
        tuple(_fold_row(stored, fold) for fold in FOLDS if stored.in_fold(fold).any()),
        _constant_error(stored),
        _met_formulas(stored, known),
        _parity(stored, first) if test.any() else None,
        group_errors(session, [models], "crystal_system", _LEAST_IN_GROUP)[0].groups
        if test.any()
        else (),
        tuple(known[i] for i in _by_error(stored)[::-1][:_WORST]),
        parts,
        note,
        _worked(session, models, stored, known, view, materials, store_uri),
        lineage,
    )


def _notes(view: TrainingView, model: StoredModel) -> tuple[str, ...]:
    notes = []
    if view.fingerprint != model.view_fingerprint:
        notes.append(
            "The store's rows are no longer those that the model was trained on: its training "
            f"view has the fingerprint {view.fingerprint[:12]} now, then it had "
            f"{model.view_fingerprint[:12]}. Errors are of the stored predictions; neighbours "
            "are of today's vectors."
        )
    return tuple(notes)


def _facts(
    session: Session, models: Sequence[StoredModel], view: TrainingView, lineage: Node
) -> tuple[tuple[str, str], ...]:
    first, p = models[0], models[0].parameters
    unit = "no unit" if p.unit == "1" else printed_unit(p.unit)
    folds = first.metrics["folds"]
    facts = [
        ("property", f"{p.property} ({unit}), from {p.property_source}"),
        ("features", p.features),
        ("predictor", predictor_label(first)),
        ("seeds", ", ".join(str(model.seed) for model in models)),
        ("structure encoder", p.structure_encoder or ""),
        ("text", p.generator_id or ""),
        ("text variant", p.variant if p.generator_id else ""),
        ("text encoder", p.text_encoder or ""),
        ("split", f"{p.split}: " + ", ".join(f"{folds[fold]['n']:,} {fold}" for fold in FOLDS)),
        ("left out", ", ".join(f"{n:,} without a {what}" for what, n in view.excluded.items())),
        ("view fingerprint", first.view_fingerprint),
        *_run_facts(lineage.runs),
        ("models", ", ".join(model.model_id for model in models)),
    ]
    return tuple((name, value) for name, value in facts if value)


def _run_facts(runs: Sequence[RunRecord]) -> list[tuple[str, str]]:
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


def _fold_row(stored: StoredPredictions, fold: str) -> FoldRow:
    rows = stored.in_fold(fold)
    (mae,) = mean_estimates(stored.errors[rows][:, None])
    metrics = [regression_metrics(stored.targets[rows], of[rows]) for of in stored.predictions]
    maes, r2 = [m["mae"] for m in metrics], [m["r2"] for m in metrics]
    return FoldRow(
        fold,
        int(rows.sum()),
        mae,
        float(np.std([x for x in maes if x is not None], ddof=1)) if len(maes) > 1 else None,
        None if None in r2 else float(np.mean([x for x in r2 if x is not None])),
    )


def _constant_error(stored: StoredPredictions) -> float | None:
    """Test MAE of the median of the training targets; None without a test fold."""
    train, test = stored.in_fold("train"), stored.in_fold("test")
    if not test.any():
        return None
    return float(np.abs(stored.targets[test] - np.median(stored.targets[train])).mean())


def _met_formulas(stored: StoredPredictions, known: Sequence[MaterialRow]) -> MetFormulas | None:
    """None without a test fold; the estimate is NaN where the training has met them all."""
    train, test = stored.in_fold("train"), stored.in_fold("test")
    if not test.any():
        return None
    formulas = np.array([row.formula for row in known])
    met = test & np.isin(formulas, formulas[train])
    (mae,) = mean_estimates(stored.errors[test & ~met][:, None])
    return MetFormulas(int(met.sum()), int(test.sum()), mae)


def _by_error(stored: StoredPredictions) -> list[int]:
    """The test rows, the best predicted first."""
    errors = stored.errors
    return sorted(np.flatnonzero(stored.in_fold("test")).tolist(), key=lambda i: errors[i])


def _parity(stored: StoredPredictions, model: StoredModel) -> Parity:
    from matplotlib.ticker import MaxNLocator

    test = stored.in_fold("test")
    targets, predictions = stored.targets[test], stored.predictions[:, test].mean(axis=0)
    ids = [one for one, wanted in zip(stored.material_ids, test, strict=True) if wanted]
    both = np.concatenate([targets, predictions])
    margin = 0.04 * max(float(np.ptp(both)), 1e-12)
    low, high = float(both.min()) - margin, float(both.max()) + margin

    def across(value: float) -> float:
        return round(_LEFT + (_RIGHT - _LEFT) * (value - low) / (high - low), 1)

    def down(value: float) -> float:
        return round(_BOTTOM - (_BOTTOM - _TOP) * (value - low) / (high - low), 1)

    titled = len(ids) <= _TITLED_POINTS
    points = [
        {
            "x": across(x),
            "y": down(y),
            "title": f"{one}: target {number(x)}, prediction {number(y)}" if titled else "",
        }
        for one, x, y in zip(ids, targets.tolist(), predictions.tolist(), strict=True)
    ]
    ticks = [
        {"x": across(value), "y": down(value), "label": f"{value:.6g}".replace("-", "−")}
        for value in MaxNLocator(5).tick_values(low, high)
        if low <= value <= high
    ]
    p = model.parameters
    unit = "" if p.unit == "1" else f" in {printed_unit(p.unit)}"
    return Parity(
        f"Prediction against target of {p.property}{unit}, {len(ids):,} test materials",
        points,
        ticks,
        float(np.clip(60 / len(ids) ** 0.75, 0.08, 0.7)),
    )


def _material_rows(session: Session, stored: StoredPredictions) -> list[MaterialRow]:
    found = {
        row["material_id"]: row
        for row in session.query(
            "SELECT material_id, formula, space_group, crystal_system FROM materials "
            "WHERE list_contains(?, material_id)",
            [list(stored.material_ids)],
        ).to_pylist()
    }
    predictions = stored.predictions.mean(axis=0)
    rows = []
    for i, material_id in enumerate(stored.material_ids):
        of = found.get(material_id)
        if of is None:
            raise MissingDataError(
                f"material {material_id!r}, which the model was trained or tested on, is gone; "
                "see: featurestore verify"
            )
        target, prediction = float(stored.targets[i]), float(predictions[i])
        rows.append(
            MaterialRow(**of, target=target, prediction=prediction, error=prediction - target)
        )
    return rows


def _relied_on(
    session: Session, models: tuple[StoredModel, ...], store_uri: str
) -> tuple[tuple[Part, ...], str]:
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


def _worked(
    session: Session,
    models: tuple[StoredModel, ...],
    stored: StoredPredictions,
    known: Sequence[MaterialRow],
    view: TrainingView,
    wanted: Sequence[str],
    store_uri: str,
) -> tuple[WorkedMaterial, ...]:
    place = {row.material_id: i for i, row in enumerate(known)}
    for material_id in wanted:
        if material_id not in place:
            raise UnknownNameError(
                f"material of model {models[0].model_id}", material_id, list(place)[:50]
            )
    chosen = dict.fromkeys(wanted, "Chosen") or _chosen(session, models, stored)
    return tuple(
        WorkedMaterial(
            known[place[material_id]],
            why,
            *_texts(session, models, material_id, store_uri),
            _neighbours(session, view, material_id),
        )
        for material_id, why in chosen.items()
    )


def _chosen(
    session: Session, models: tuple[StoredModel, ...], stored: StoredPredictions
) -> dict[str, str]:
    """Three test materials: those whose words are measured, then by their error."""
    order = [stored.material_ids[i] for i in _by_error(stored)]
    if not order:
        return {}
    measured = session.query(
        "SELECT DISTINCT material_id FROM erasures "
        "WHERE model_id = ? AND contains(variant, ':word:')",
        [models[0].model_id],
    )["material_id"].to_pylist()
    found = {one: "One whose words have been measured" for one in order if one in set(measured)}
    by_rule = {
        order[0]: "The best predicted test material",
        order[len(order) // 2]: "The median test material by error",
        order[-1]: "The worst predicted test material",
    }
    together = {one: by_rule.get(one, why) for one, why in found.items()} | {
        one: why for one, why in by_rule.items() if one not in found
    }
    return dict(list(together.items())[:_WORKED])


def _texts(
    session: Session, models: tuple[StoredModel, ...], material_id: str, store_uri: str
) -> tuple[Description | None, tuple[Contributions, ...], str | None]:
    p = models[0].parameters
    if p.generator_id is None:
        return None, (), None
    description = describe(session, material_id, p.generator_id)
    texts = []
    for erasure in ERASURES:
        found = stored_contributions(session, models, description, "word", erasure)
        if found is not None:
            texts.append(found)
    words = ["featurestore", "explain", "words", material_id, "--model", models[0].model_id]
    place = ["--store", store_uri] if store_uri else []
    command = None if texts else shlex.join([*words, "--encode", *place])
    return description, tuple(texts), command


def _neighbours(
    session: Session, view: TrainingView, material_id: str
) -> tuple[tuple[str, tuple[Neighbour, ...]], ...]:
    if view.parameters.features == GRAPH or material_id not in view.material_ids:
        return ()
    query = view.material_ids.index(material_id)
    crystal = view.rows["structure_id"].to_pylist()
    others = np.flatnonzero([one != crystal[query] for one in crystal])
    found = []
    for vector, (start, stop) in vector_parts(view.segments).items():
        if "." not in vector:
            rows = _nearest(view.features[:, start:stop], query, others)
            found.append((vector, _named(session, view, rows)))
    return tuple(found)


def _nearest(
    vectors: npt.NDArray[np.float32], query: int, others: npt.NDArray[np.int64]
) -> list[tuple[int, float]]:
    """The rows among ``others`` most alike to a row, with their cosine; none of a zero vector."""
    if not vectors[query].any():
        return []
    search = ExactSearch(np.ascontiguousarray(vectors))
    nearest = search.nearest(vectors[query], _NEIGHBOURS, among=others)
    return [
        (int(row), 1 - float(distance))
        for row, distance in zip(nearest.rows[0], nearest.distances[0], strict=True)
    ]


def _named(
    session: Session, view: TrainingView, rows: Sequence[tuple[int, float]]
) -> tuple[Neighbour, ...]:
    ids = [view.material_ids[i] for i, _ in rows]
    formulas = {
        row["material_id"]: row["formula"]
        for row in session.query(
            "SELECT material_id, formula FROM materials WHERE list_contains(?, material_id)", [ids]
        ).to_pylist()
    }
    folds = view.rows["fold"]
    return tuple(
        Neighbour(one, formulas[one], folds[i].as_py(), float(view.targets[i]), cosine)
        for one, (i, cosine) in zip(ids, rows, strict=True)
    )
