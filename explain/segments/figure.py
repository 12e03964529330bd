"""The chart of segments: what the error and the prediction lose with each part of the input."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from explain.erasing.outputs import output_unit
from explain.erasing.subsets import ALL
from explain.segments.analysis import SegmentEffect, SegmentEffects, is_text
from featurestore.output.figure import Figure
from featurestore.output.figures import write_figure
from featurestore.output.labels import printed_in_brackets, property_title
from featurestore.output.style import COLOURS, GREY, along_x, new_figure, styled
from train.analysis.resampling import Estimate
from train.display.labels import distinctions, features_label, predictor_label

_STRUCTURE, _TEXT = COLOURS[:2]
_MARKERS = "os^vDP"
_ROW_INCHES = 0.3


def write_segments_figure(results: Sequence[SegmentEffects], path: Path) -> None:
    """Write what `segments_figure` draws to a PNG, SVG or PDF file.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    write_figure(segments_figure(results), path)


@styled
def segments_figure(results: Sequence[SegmentEffects]) -> Figure:
    """A dot and a 95 % interval for each part, structure and text by colour.

    The left panel has the change of the MAE, the right one the mean absolute change of the
    prediction. An open dot is a change that is not significant after Holm's correction (p ≥ 0.05).
    Several models of one property have a marker each.

    Parameters
    ----------
    results : sequence of SegmentEffects
        Of one property, each with at least one effect.
    """
    positions, labels, headings = _rows(results)
    labelled = _labels(results)
    several = len(results) > 1
    height = 1.1 + _ROW_INCHES * (max(positions.values()) + 1) * (1 + 0.25 * (len(results) - 1))
    models = [model.model_id for result in results for model in result.models]
    figure = new_figure(8, height + 0.25 * several * len(results), models)
    left, right = figure.subplots(1, 2, sharey=True)
    for number, (result, label) in enumerate(zip(results, labelled, strict=True)):
        shift = (number - (len(results) - 1) / 2) * min(0.7 / len(results), 0.25)
        marker = _MARKERS[number % len(_MARKERS)]
        for effect in result.effects:
            y = positions[effect.group, effect.segment] + shift
            for axes, estimate in ((left, effect.difference), (right, effect.change)):
                sure = axes is right or (effect.p is not None and effect.p < 0.05)
                _dot(axes, estimate, y, _colour(effect.segment), marker, sure)
        if several:
            left.plot([], [], marker, color=GREY, markersize=5, label=label)
    left.axvline(0, color=GREY, linewidth=1, zorder=0)
    left.set_yticks(list(positions.values()), labels)
    for y, heading in headings:
        left.annotate(
            heading,
            (0, y),
            xycoords=("axes fraction", "data"),
            xytext=(-4, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=8,
            fontweight="bold",
            annotation_clip=False,
        )
    left.set_ylim(max(positions.values()) + 0.7, min(min(positions.values()), 0) - 0.7)
    p = results[0].models.parameters
    unit = printed_in_brackets(output_unit(results[0].models.first))
    error = "1 - p(predicted)" if p.classes else "MAE"
    left.set_xlabel(f"change of the {results[0].fold} {error}{unit}\nfilled: p < 0.05 after Holm")
    right.set_xlabel(f"mean absolute change of\nthe prediction{unit}")
    n = ", ".join(f"{n:,}" for n in sorted({result.n for result in results}))
    left.set_title(f"{property_title(p.property)}, n = {n}", loc="left")
    right.set_xlim(left=0)
    for axes in (left, right):
        along_x(axes)
    if several:
        figure.legend(loc="outside lower center", ncols=1)
    return figure


def segment_label(segment: str) -> str:
    """A part as figures call it: ``structure.atom`` is "structure: atom"."""
    if segment in ("structure", "text"):
        return f"whole {segment}"
    vector, _, part = segment.partition(".")
    return f"{vector}: {part}" if vector in ("structure", "text") else segment


def _rows(
    results: Sequence[SegmentEffects],
) -> tuple[dict[tuple[str, str], float], list[str], list[tuple[float, str]]]:
    """Where each group's parts stand, how they are called, and the groups' headings."""
    effects: dict[tuple[str, str], SegmentEffect] = {}
    for result in results:
        for effect in result.effects:
            effects.setdefault((effect.group, effect.segment), effect)
    groups = list(dict.fromkeys(group for group, _ in effects))
    ordered = sorted(effects.values(), key=lambda effect: groups.index(effect.group))
    positions, labels, headings, y = {}, [], [], 0.0
    for group, of in groupby(ordered, key=lambda effect: effect.group):
        members = list(of)
        if groups != [ALL]:
            headings.append((y, f"{group} ({members[0].n})"))
            y += 1
        for effect in members:
            positions[group, effect.segment] = y
            labels.append(segment_label(effect.segment))
            y += 1
        y += 0.4
    return positions, labels, headings


def _dot(axes: Any, estimate: Estimate, y: float, colour: str, marker: str, sure: bool) -> None:
    axes.plot([estimate.low, estimate.high], [y, y], color=colour, linewidth=1.6)
    face = colour if sure else "white"
    axes.plot(estimate.value, y, marker, color=colour, markerfacecolor=face, markersize=5)


def _colour(segment: str) -> str:
    return _TEXT if is_text(segment) else _STRUCTURE


def _labels(results: Sequence[SegmentEffects]) -> list[str]:
    """What tells each model from the others."""
    models = [result.models.first for result in results]
    labels = [f"{features_label(model)}, {predictor_label(model)}" for model in models]
    return [
        ", ".join([label, *(word for word in words if word not in label)])
        for label, words in zip(labels, distinctions(models, labels), strict=True)
    ]
