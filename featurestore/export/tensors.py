"""A training view as a safetensors file: tensors for each fold, material ids in its metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from featurestore.views.request import FOLDS
from featurestore.views.view import TrainingView


def write_tensors(view: TrainingView, path: Path) -> None:
    """Write ``train.features`` (n, width) and ``train.targets`` (n,), float32, for each fold.

    A view without folds has ``features`` and ``targets``. The metadata has one entry, ``view``:
    JSON with the fingerprint, the property and its unit, the segments and, under ``material_ids``
    or ``train.material_ids`` and so on, the materials of the rows.
    """
    from safetensors.numpy import save

    targets = view.targets.astype(np.float32)
    ids = np.array(view.material_ids)
    chosen = {f"{fold}.": np.flatnonzero(view.in_fold(fold)) for fold in FOLDS}
    if view.parameters.split is None:
        chosen = {"": np.arange(len(view))}
    tensors: dict[str, Any] = {}
    about: dict[str, Any] = {
        "fingerprint": view.fingerprint,
        "property": view.parameters.property,
        "unit": view.parameters.unit,
        "segments": view.segments,
    }
    for prefix, rows in chosen.items():
        if len(rows):
            tensors[f"{prefix}features"] = view.features[rows]
            tensors[f"{prefix}targets"] = targets[rows]
            about[f"{prefix}material_ids"] = ids[rows].tolist()
    # One entry: the order of several changes from process to process.
    path.write_bytes(save(tensors, {"view": json.dumps(about)}))
