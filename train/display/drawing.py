"""What the charts have in common: colours, a plain frame, and the PNG that names its models."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from featurestore.output.figures import figure_metadata
from featurestore.output.rows import atomic_path
from train.models import StoredModel

#: Okabe and Ito's colours, which colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY = "#8c8c8c"


def along_x(axes: Any, *, axis: bool = True) -> None:
    """Style axes on which values run to the right and each line stands for something.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Before texts get other sizes.
    axis : bool
        Whether the y axis is drawn.
    """
    axes.tick_params(labelsize=8, color=GREY)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", *([] if axis else ["left"])]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)


def write_png(figure: Any, path: Path, models: Iterable[StoredModel], tight: bool = True) -> None:
    """Write a matplotlib figure, with the ids of the models it shows, whole or not at all.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What to write.
    path : Path
        The file.
    models : iterable of StoredModel
        Those it shows.
    tight : bool
        Whether the image is cut to what is drawn.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    metadata = figure_metadata(model.model_id for model in models)
    with atomic_path(path) as temporary:
        box = "tight" if tight else None
        figure.savefig(temporary, format="png", bbox_inches=box, metadata=metadata)
