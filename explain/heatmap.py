"""The heatmap of tag removals: rows are tags, columns are models, panels are text sources."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from explain.tags import TagEffects
from featurestore.figures import figure_metadata
from featurestore.output import atomic_path
from train.display import distinctions, printed_unit

_CELL_INCHES = (1.25, 0.55)
_COLOURS = "PuOr_r"
_FULL_TEXT = "(full text)"


def write_tag_heatmap(results: Sequence[TagEffects], path: Path) -> None:
    """Write the MAE after the removal of each tag as a PNG; colour is its relative change.

    The form is that of Fig. 5 of Li et al., Digital Discovery 2025, 4, 376.

    Parameters
    ----------
    results : sequence of TagEffects
        A column each; those of one text source make up a panel.
    path : Path
        The file.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    from matplotlib.figure import Figure

    ordered = sorted(results, key=_panel)
    panels = [(key[0], list(group)) for key, group in groupby(ordered, key=_panel)]
    rows = max(len(result.effects) for result in results) + 1
    changes = [_relative(result) for result in results]
    limit = max(1.0, *(float(np.nanmax(np.abs(values))) for values in changes))
    widths = [len(columns) for _, columns in panels]
    figure = Figure(
        figsize=(
            _CELL_INCHES[0] * sum(widths) + 2.1 * len(panels) + 1.0,
            _CELL_INCHES[1] * rows + 1.4,
        ),
        dpi=150,
        layout="constrained",
    )
    grid = figure.subplots(1, len(panels), squeeze=False, width_ratios=widths)[0]
    images = []
    for axes, (name, columns) in zip(grid, panels, strict=True):
        images.append(_draw(axes, columns, limit))
        axes.set_title(name, fontsize=10, pad=8)
    bar = figure.colorbar(images[0], ax=list(grid), shrink=0.8, pad=0.02)
    bar.set_label("change of the MAE (%)", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    metadata = figure_metadata(model.model_id for result in results for model in result.models)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", bbox_inches="tight", metadata=metadata)


def _panel(result: TagEffects) -> tuple[str, tuple[str, ...]]:
    """Columns of one panel have one text source and the same tags."""
    return result.models[0].text_source or "", tuple(effect.tag for effect in result.effects)


def _relative(result: TagEffects) -> npt.NDArray[np.float64]:
    """Change of the MAE in per cent, without and with each tag removed: shape (1 + tags,).

    NaN where the MAE with the full text is zero.
    """
    change = [
        100 * effect.comprehensiveness / effect.mae if effect.mae else np.nan
        for effect in result.effects
    ]
    return np.array([0.0, *change])


def _draw(axes: Any, columns: Sequence[TagEffects], limit: float) -> Any:
    tags = [effect.tag for effect in columns[0].effects]
    values = np.stack([_relative(column) for column in columns], axis=1)
    image = axes.imshow(values, cmap=_COLOURS, vmin=-limit, vmax=limit, aspect="auto")
    for x, column in enumerate(columns):
        maes = [column.effects[0].mae, *(effect.erased_mae for effect in column.effects)]
        for y, mae in enumerate(maes):
            change = values[y, x]
            text = _three_digits(mae) + (
                f"\n{_percent(change)}" if y and np.isfinite(change) else ""
            )
            colour = "white" if abs(change) > 0.65 * limit else "black"
            axes.text(x, y, text, ha="center", va="center", fontsize=8, color=colour)
    axes.set_yticks(range(len(tags) + 1), [_FULL_TEXT, *tags], fontsize=9)
    axes.set_xticks(range(len(columns)), _column_labels(columns), fontsize=8)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(1, len(columns)) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, len(tags) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="minor", length=0)
    return image


def _column_labels(columns: Sequence[TagEffects]) -> list[str]:
    """Property and unit, with what else tells two columns of the same property apart."""
    models = [column.models[0] for column in columns]
    differing = distinctions(models, [model.parameters.property for model in models])
    labels = []
    for column, model, words in zip(columns, models, differing, strict=True):
        p = model.parameters
        lines = [p.property] + ([f"({printed_unit(p.unit)})"] if p.unit != "1" else []) + words
        if len(column.models) > 1:
            lines.append(f"mean of {len(column.models)} seeds")
        labels.append("\n".join(lines))
    return labels


def _percent(change: float) -> str:
    return f"{change:+.{1 if abs(change) < 10 else 0}f} %".replace("-", "−")


def _three_digits(mae: float) -> str:
    return f"{mae:#.3g}".rstrip(".")
