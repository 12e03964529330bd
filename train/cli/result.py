"""What a training command prints: errors of each fold, uncertainty, and what was done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from featurestore.output.notes import note
from train.display.printing import print_captioned
from train.training import TrainingResult


def print_result(result: TrainingResult, output_format: str) -> None:
    """Print a table of the folds on standard output, and notes on standard error."""
    for sentence in result.notes:
        note(f"Note: {sentence}")
    metrics, model_id = result.model.metrics, result.model.model_id
    folds, unit = result.table, result.model.parameters.unit
    table = folds.add_column(0, "model_id", pa.repeat(model_id, len(folds)))
    table = table.append_column("unit", pa.repeat(unit, len(folds)))
    print_captioned(table, output_format, ["model_id", "unit"])
    for sentence in _uncertainty_sentences(metrics):
        note(sentence)
    if result.trained:
        note(
            f"Trained {model_id} in {metrics['seconds']:.1f} s: {metrics['epochs']} epochs, the "
            f"weights of epoch {metrics['best_epoch']} kept."
        )
    else:
        note(f"{model_id} is already trained; nothing was done.")


def _uncertainty_sentences(metrics: Mapping[str, Any]) -> list[str]:
    """What an ensemble chose, and how often intervals hold the test targets."""
    sentences = []
    if "temperature_of_process" in metrics:
        sentences.append(
            "Share of the Gaussian process in the average "
            f"{metrics['share_of_process']:.2f}; its temperature "
            f"{metrics['temperature_of_process']:.2f}, the networks' "
            f"{metrics['temperature_of_networks']:.2f}."
        )
    elif "share_of_process" in metrics:
        of_process = metrics["transformation"]
        of_networks = metrics.get("transformation_of_networks", of_process)
        sentences.append(
            "Share of the Gaussian process in the average "
            f"{metrics['share_of_process']:.2f}; targets learned as {of_process} by it, as "
            f"{of_networks} by the networks."
        )
    shares = {
        level: value for level, value in metrics.get("coverage", {}).items() if value is not None
    }
    if shares:
        listed = ", ".join(f"{float(level):.0%}: {value:.1%}" for level, value in shares.items())
        what = "sets" if "set_size" in metrics else "intervals"
        sentences.append(f"Test targets within the {what} of nominal coverage: {listed}.")
    sizes = {level: size for level, size in metrics.get("set_size", {}).items() if size}
    if sizes:
        listed = ", ".join(f"{float(level):.0%}: {size:.2f}" for level, size in sizes.items())
        sentences.append(f"Classes in a set on average: {listed}.")
    return sentences
