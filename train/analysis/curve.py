"""The loss curve of a stored model: errors on the training and validation rows by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from featurestore.errors import MissingDataError
from train.display.drawing import COLOURS, GREY, write_png
from train.display.labels import features_label, predictor_label, printed_in_brackets
from train.models import StoredModel


def write_loss_curve(model: StoredModel, history: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write a PNG with the mean absolute errors by epoch and a mark at the epoch that was kept.

    Parameters
    ----------
    model : StoredModel
        The model.
    history : sequence of mapping
        ``epoch``, ``train_mae`` and ``val_mae`` (in the unit of the property).
    path : Path
        The file.

    Raises
    ------
    MissingDataError
        If the model was not trained by epochs.
    StorageError
        If the file cannot be written.
    """
    from matplotlib.figure import Figure

    if len(history) < 2:
        raise MissingDataError(
            f"model {model.model_id} ({model.predictor}) has no loss curve: it was trained in "
            f"{len(history)} epochs"
        )
    p = model.parameters
    epochs = [entry["epoch"] for entry in history]
    figure = Figure(figsize=(5.0, 3.4), dpi=150, layout="constrained")
    axes = figure.subplots()
    blue, orange = COLOURS[:2]
    for name, label, colour in (("train_mae", "train", blue), ("val_mae", "validation", orange)):
        axes.plot(epochs, [entry[name] for entry in history], color=colour, lw=1.2, label=label)
    best = model.metrics["best_epoch"]
    axes.axvline(best, color=GREY, lw=1, ls=":", label=f"kept: epoch {best}")
    unit = printed_in_brackets(model.task.error_unit)
    what = "1 - probability of the true class" if p.classes else "MAE"
    axes.set(xlabel="epoch", ylabel=f"{what} of {p.property}{unit}", yscale="log")
    axes.set_title(f"{predictor_label(model)}, {features_label(model)}, seed {model.seed}")
    axes.title.set_fontsize(9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    write_png(figure, path, [model], tight=False)
