"""A training view as a folder for the Hugging Face Hub: Parquet, and the card's front matter."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from featurestore.export.source_terms import licence_of
from featurestore.views.request import FOLDS
from featurestore.views.view import TrainingView

# As the Hub calls the folds.
_SPLITS = {"train": "train", "val": "validation", "test": "test"}
_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)


def write_hub_folder(view: TrainingView, folder: Path) -> None:
    """Write ``data/train.parquet``, ``validation`` and ``test``; a view without folds is train."""
    (folder / "data").mkdir()
    for split, fold in _splits(view).items():
        rows = view.table if fold is None else view.table.filter(pa.array(view.in_fold(fold)))
        parquet.write_table(rows, folder / "data" / f"{split}.parquet")


def front_matter(view: TrainingView, datasets: list[str]) -> str:
    """The YAML with which the Hub finds files, size and licence; every text is JSON's, as YAML has.

    Parameters
    ----------
    view : TrainingView
    datasets : list of str
        Names of the data sets that its materials are from.
    """
    p = view.parameters
    files = "".join(
        f"\n  - split: {split}\n    path: {json.dumps(f'data/{split}.parquet')}"
        for split in _splits(view)
    )
    size = next((name for most, name in _SIZES if len(view) < most), "n>10M")
    licences = sorted({licence_of(name) for name in datasets})
    licence = licences[0] if len(licences) == 1 else "other"
    lines = [
        f"pretty_name: {json.dumps(f'{p.property}, {p.features_name}')}",
        f"license: {licence}",
        "task_categories:\n- tabular-" + ("classification" if p.classes else "regression"),
        "tags:\n- materials science\n- crystal structures\n- embeddings",
        f"size_categories:\n- {size}",
        f"configs:\n- config_name: default\n  data_files:{files}",
    ]
    return "---\n" + "\n".join(lines) + "\n---\n\n"


def _splits(view: TrainingView) -> dict[str, str | None]:
    """The folds that have rows, by the Hub's names."""
    if view.parameters.split is None:
        return {"train": None}
    return {_SPLITS[fold]: fold for fold in FOLDS if view.in_fold(fold).any()}
