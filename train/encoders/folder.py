"""The folder that a trained encoder is written into."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from featurestore.errors import InvalidInputError
from featurestore.output.rows import atomic_path

WEIGHTS = "model.safetensors"
CHECKPOINT = "resume.pt"
MATERIALS = "materials.csv"


def check_new(folder: Path) -> None:
    """Raise if a folder's name cannot be an encoder's, or it holds a finished model."""
    if not re.search(r"[A-Za-z0-9]", folder.resolve().name):
        raise InvalidInputError(f"the folder {folder} names the encoder: use letters or digits")
    if (folder / WEIGHTS).exists():
        raise InvalidInputError(
            f"{folder} holds a finished model; choose another folder, or delete it to train again"
        )


def write_materials(folder: Path, ids: Mapping[str, Sequence[str]]) -> None:
    """Write ``materials.csv``: which material was in which fold."""
    with (
        atomic_path(folder / MATERIALS) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["material_id", "fold"])
        for fold, members in ids.items():
            writer.writerows([material_id, fold] for material_id in members)
