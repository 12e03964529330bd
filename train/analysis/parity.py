"""The parity plot: predicted against target on the test fold, one panel for each feature set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from featurestore.session import Session
from train.analysis.ablation import AblationRow
from train.analysis.panels import panel_axes, panel_grid, panel_titles
from train.display.drawing import COLOURS, GREY, write_png
from train.display.labels import printed_after, printed_in_brackets


def write_parity_plot(session: Session, rows: Sequence[AblationRow], path: Path) -> None:
    """Write a PNG with a panel for each row that has test predictions.

    Of several seeds the lowest is shown, and the panel says so.

    Parameters
    ----------
    session : Session
        Where the predictions are.
    rows : sequence of AblationRow
        Of one property and one split.
    path : Path
        The file.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    panels = [(row, *_test_fold(session, row.first.model_id)) for row in rows]
    panels = [panel for panel in panels if len(panel[1])]
    if not panels:
        return
    p = rows[0].first.parameters
    unit = printed_in_brackets(p.unit)
    values = np.concatenate([np.concatenate(panel[1:]) for panel in panels])
    margin = 0.04 * max(float(np.ptp(values)), 1e-12)
    limits = (float(values.min()) - margin, float(values.max()) + margin)
    titles = panel_titles([panel[0] for panel in panels])
    figure, grid, across = panel_grid(titles)
    for number, (title, panel) in enumerate(zip(titles, panels, strict=True)):
        axes = grid[number]
        _draw(axes, title, *panel, limits)
        lowest, leftmost = number + across >= len(panels), number % across == 0
        axes.tick_params(labelbottom=lowest, labelleft=leftmost)
    figure.supxlabel(f"target {p.property}{unit}", fontsize=9)
    figure.supylabel(f"predicted {p.property}{unit}", fontsize=9)
    write_png(figure, path, (panel[0].first for panel in panels))


def _test_fold(
    session: Session, model_id: str
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    rows = session.query(
        "SELECT target, prediction FROM predictions WHERE model_id = ? AND fold = 'test' "
        "ORDER BY material_id",
        [model_id],
    )
    return rows["target"].to_numpy(), rows["prediction"].to_numpy()


def _draw(
    axes: Any,
    title: str,
    row: AblationRow,
    targets: npt.NDArray[np.float64],
    predictions: npt.NDArray[np.float64],
    limits: tuple[float, float],
) -> None:
    n = len(targets)
    axes.plot(limits, limits, color=GREY, linewidth=1, zorder=1)
    axes.scatter(
        targets,
        predictions,
        s=float(np.clip(4000 / n, 4, 22)),
        color=COLOURS[0],
        alpha=float(np.clip(60 / n**0.75, 0.08, 0.7)),
        linewidths=0,
        zorder=2,
    )
    axes.locator_params(nbins=5)
    panel_axes(axes, limits)
    mae = float(np.mean(np.abs(predictions - targets)))
    error = f"MAE {mae:.3g}{printed_after(row.first.parameters.unit)}"
    seed = f", seed {row.first.seed}" if len(row.models) > 1 else ""
    axes.set_title(f"{title}\n{error}, n = {n}{seed}", fontsize=9)
