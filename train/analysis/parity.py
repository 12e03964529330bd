"""The parity plot: predicted against target on the test fold, one panel for each feature set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from featurestore.errors import MissingDataError
from featurestore.output.figure import Figure
from featurestore.output.figures import write_figure
from featurestore.output.labels import formula_text, printed_after, property_axis
from featurestore.output.style import (
    COLOURS,
    GREY,
    SEQUENTIAL,
    density,
    figure_note,
    robust_limits,
    styled,
)
from featurestore.session import Session
from train.analysis.ablation import AblationRow
from train.analysis.panels import panel_axes, panel_grid, panel_titles
from train.analysis.resampling import mean_estimates

Floats = npt.NDArray[np.float64]

#: How many of the worst are named, and of how many materials intervals can be seen.
NAMED, MOST_INTERVALS = 3, 250
#: From so many points on they are coloured by how many stand near.
_MANY = 400


@dataclass(frozen=True)
class Predicted:
    """The test materials of one model, in order of their id.

    Parameters
    ----------
    formulas : list of str or None
        None where the material is no longer stored.
    targets, predictions : ndarray, shape (n,), float64
        In the unit of the property.
    lower, upper : ndarray, shape (n,), float64
        Of the interval that holds 90 % of the targets; NaN of predictors that know none.
    """

    formulas: list[str | None] = field(repr=False)
    targets: Floats = field(repr=False)
    predictions: Floats = field(repr=False)
    lower: Floats = field(repr=False)
    upper: Floats = field(repr=False)

    @property
    def has_intervals(self) -> bool:
        """Whether intervals are known, of few enough materials to be seen."""
        return len(self.targets) <= MOST_INTERVALS and bool(np.isfinite(self.lower).any())

    @property
    def errors(self) -> Floats:
        """Absolute errors, shape (n,)."""
        return np.asarray(np.abs(self.predictions - self.targets))


def write_parity_plot(session: Session, rows: Sequence[AblationRow], path: Path) -> None:
    """Write what `parity_figure` draws to a PNG, SVG or PDF file.

    Raises
    ------
    MissingDataError
        If no model has test predictions.
    StorageError
        If the file cannot be written.
    """
    write_figure(parity_figure(session, rows), path)


@styled
def parity_figure(session: Session, rows: Sequence[AblationRow]) -> Figure:
    """A panel for each row that has test predictions, with the names of the worst materials.

    Of several seeds the lowest is shown, and the panel says so. Of few materials the 90 % intervals
    are drawn; many are coloured by how densely they lie.

    Parameters
    ----------
    session : Session
        Where the predictions are.
    rows : sequence of AblationRow
        Of one property and one split.

    Raises
    ------
    MissingDataError
        If no model has test predictions.
    """
    panels = [(row, test_rows(session, row.first.model_id)) for row in rows]
    panels = [panel for panel in panels if len(panel[1].targets)]
    if not panels:
        raise MissingDataError("there is nothing to draw: no model has predictions of a test fold")
    p = rows[0].first.parameters
    values = [np.concatenate([of.targets, of.predictions]) for _, of in panels]
    limits = robust_limits(np.concatenate(values), reach=1.5)
    titles = panel_titles([row for row, _ in panels])
    models = [row.first.model_id for row, _ in panels]
    figure, grid, across = panel_grid(titles, models)
    for number, (title, (row, of)) in enumerate(zip(titles, panels, strict=True)):
        axes = grid[number]
        _draw(axes, title, row, of, limits)
        lowest, leftmost = number + across >= len(panels), number % across == 0
        axes.tick_params(labelbottom=lowest, labelleft=leftmost)
    said = [f"target {property_axis(p.property, p.unit)}, test fold"]
    if any(of.has_intervals for _, of in panels):
        said.append("lines: 90 % intervals")
    if any(len(of.targets) >= _MANY for _, of in panels):
        said.append("brighter: more materials lie there")
    figure.supxlabel("\n".join([said[0], *([", ".join(said[1:])] if said[1:] else [])]), fontsize=9)
    figure.supylabel("predicted", fontsize=9)
    return figure


def test_rows(session: Session, model_id: str) -> Predicted:
    """The test materials with their predictions; none where the fold is empty."""
    rows = session.query(
        "SELECT m.formula, target, prediction, lower, upper FROM predictions p "
        "LEFT JOIN materials m USING (material_id) WHERE model_id = ? AND fold = 'test' "
        "ORDER BY p.material_id",
        [model_id],
    )
    numbers = [
        rows[name].to_numpy().astype(np.float64)
        for name in ("target", "prediction", "lower", "upper")
    ]
    return Predicted(rows["formula"].to_pylist(), *numbers)


def _draw(
    axes: Any, title: str, row: AblationRow, of: Predicted, limits: tuple[float, float]
) -> None:
    n = len(of.targets)
    axes.plot(limits, limits, color=GREY, linewidth=1, zorder=1)
    x, y = (np.clip(values, *limits) for values in (of.targets, of.predictions))
    if of.has_intervals:
        axes.vlines(
            x, np.clip(of.lower, *limits), np.clip(of.upper, *limits),
            color=COLOURS[0], linewidth=0.7, alpha=0.25, zorder=1.5,
        )  # fmt: skip
    look: dict[str, Any] = {"s": float(np.clip(4000 / n, 4, 22)), "linewidths": 0, "zorder": 2}
    if n >= _MANY:
        near = density(x, y)
        order = np.argsort(near, kind="stable")
        axes.scatter(
            x[order], y[order], c=np.log10(near[order]), cmap=SEQUENTIAL, rasterized=True, **look
        )
    else:
        axes.scatter(x, y, color=COLOURS[0], alpha=0.6, **look)
    _name_worst(axes, of, x, y, limits)
    axes.locator_params(nbins=5)
    panel_axes(axes, limits)
    unit = printed_after(row.first.parameters.unit)
    (mae,) = mean_estimates(of.errors[:, None])
    said = [title, f"test MAE {mae.value:.3g}{unit} ({mae.low:.3g} to {mae.high:.3g})"]
    seed = f", seed {row.first.seed}" if len(row.models) > 1 else ""
    axes.set_title("\n".join([*said, f"n = {n:,}{seed}"]), loc="left", fontsize=8.5)
    beyond = (x != of.targets) | (y != of.predictions)
    if beyond.any():
        axes.scatter(
            x[beyond], y[beyond], s=22, marker="^", color=COLOURS[1], linewidths=0,
            clip_on=False, zorder=3,
        )  # fmt: skip
        figure_note(axes, f"▲ {beyond.sum():,} beyond the frame, at its rim")


def _name_worst(
    axes: Any, of: Predicted, x: Floats, y: Floats, limits: tuple[float, float]
) -> None:
    """The formulas of the worst materials beside their points, one above another."""
    middle, step = sum(limits) / 2, 0.06 * (limits[1] - limits[0])
    taken: dict[bool, list[float]] = {True: [], False: []}
    worst = np.argsort(-of.errors, kind="stable")[:NAMED]
    for i in sorted(worst, key=lambda i: y[i]):
        left = bool(x[i] > middle)
        height = max([float(y[i]), *(other + step for other in taken[left])])
        taken[left].append(height)
        axes.annotate(
            formula_text(of.formulas[i] or "?"),
            (x[i], y[i]),
            xytext=(x[i] + (-1 if left else 1) * 0.35 * step, height),
            fontsize=7,
            ha="right" if left else "left",
            va="center",
            color="#333333",
            zorder=4,
        )
