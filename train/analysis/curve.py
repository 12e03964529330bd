"""The loss curve of a stored model: errors on the training and validation rows by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from featurestore.errors import MissingDataError
from featurestore.output.figure import Figure
from featurestore.output.figures import write_figure
from featurestore.output.labels import printed_in_brackets, property_title
from featurestore.output.style import (
    COLOURS,
    GREY,
    new_figure,
    plain_logarithm,
    styled,
    whole_numbers,
)
from train.display.labels import features_label, predictor_label
from train.models import StoredModel


def write_loss_curve(model: StoredModel, history: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write what `loss_curve_figure` draws to a PNG, SVG or PDF file.

    Raises
    ------
    MissingDataError
        If the model was not trained by epochs.
    StorageError
        If the file cannot be written.
    """
    write_figure(loss_curve_figure(model, history), path)


@styled
def loss_curve_figure(model: StoredModel, history: Sequence[Mapping[str, Any]]) -> Figure:
    """The mean absolute errors by epoch, with a mark at the epoch that was kept.

    Parameters
    ----------
    model : StoredModel
        The model.
    history : sequence of mapping
        ``epoch``, ``train_mae`` and ``val_mae`` (in the unit of the property).

    Raises
    ------
    MissingDataError
        If the model was not trained by epochs.
    """
    if len(history) < 2:
        raise MissingDataError(
            f"model {model.model_id} ({model.predictor}) has no loss curve: it was trained in "
            f"{len(history)} epochs"
        )
    p = model.parameters
    epochs = [entry["epoch"] for entry in history]
    figure = new_figure(5.0, 3.4, [model.model_id])
    axes = figure.subplots()
    blue, orange = COLOURS[:2]
    for name, label, colour in (("train_mae", "train", blue), ("val_mae", "validation", orange)):
        axes.plot(epochs, [entry[name] for entry in history], color=colour, lw=1.4, label=label)
    best = model.metrics["best_epoch"]
    axes.axvline(best, color=GREY, lw=1, ls=":", label=f"kept: epoch {best}")
    unit = printed_in_brackets(model.task.error_unit)
    what = "1 - probability of the true class" if p.classes else "MAE"
    axes.set(xlabel="epoch", ylabel=f"{what}{unit}", yscale="log")
    plain_logarithm(axes.yaxis)
    whole_numbers(axes.xaxis)
    axes.grid(axis="y")
    of = f"{predictor_label(model)}, {features_label(model)}, seed {model.seed}"
    axes.set_title(f"{property_title(p.property)}\n{of}", loc="left")
    axes.legend()
    return figure
