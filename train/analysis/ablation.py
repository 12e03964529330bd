"""The ablation table: structure, text and both, side by side, one row for each set of features."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from string import ascii_uppercase
from typing import Any

import numpy as np
import pyarrow as pa

from featurestore.session import Session
from featurestore.views.request import FOLDS
from train.display.labels import predictor_label
from train.models import SeedGroup, StoredModel, seed_groups
from train.tasks.columns import errors_of, measured_of, measures_of

_STRINGS = (
    *("property", "split", "features", "text_source", "structure_encoder", "text_encoder"),
    *("variant", "predictor", "materials"),
)
_COUNTS = ("n_train", "n_val", "n_test", "seeds")


@dataclass(frozen=True)
class AblationRow:
    """The models that differ only by their seed.

    Parameters
    ----------
    models : SeedGroup
        In order of the seed.
    materials : str
        A letter for the material sets of the three folds: rows of one property and split are
        comparable if they have the same.
    """

    models: SeedGroup
    materials: str

    @property
    def first(self) -> StoredModel:
        """The model with the lowest seed."""
        return self.models.first

    @property
    def test_error(self) -> float | None:
        """Mean over the seeds of the task's error; None if the test fold is empty."""
        values = self._errors()
        return None if None in values else float(np.mean(values))

    @property
    def test_error_std(self) -> float | None:
        """Sample standard deviation over the seeds; None for a single seed."""
        values = self._errors()
        return None if None in values or len(values) < 2 else float(np.std(values, ddof=1))

    def _errors(self) -> list[Any]:
        return [model.error() for model in self.models]


def ablation_rows(session: Session, models: Iterable[StoredModel]) -> list[AblationRow]:
    """One row for each group of models that differ only by their seed."""
    materials = _material_sets(session)
    letters: dict[tuple[str, str | None], dict[str, str]] = {}
    rows = []
    for group in seed_groups(models):
        p = group.parameters
        known = letters.setdefault((p.property, p.split), {})
        digest = materials[group.first.model_id]
        letter = known.setdefault(digest, ascii_uppercase[len(known) % 26])
        rows.append(AblationRow(group, letter))
    return rows


def ablation_table(rows: Iterable[AblationRow]) -> pa.Table:
    """The rows as a table; ``test_mae`` and its standard deviation are in ``unit``.

    Of properties of classes there are ``test_brier`` and what else is measured in their place.
    """
    listed = list(rows)
    models = [row.first for row in listed]
    numbers = [f"test_{name}{suffix}" for name in errors_of(models) for suffix in ("", "_std")]
    numbers += [f"test_{name}" for name in measures_of(models)]
    schema = pa.schema(
        [
            *[pa.field(name, pa.string()) for name in _STRINGS],
            *[pa.field(name, pa.int64()) for name in _COUNTS],
            *[pa.field(name, pa.float64()) for name in numbers],
            *[pa.field(name, pa.string()) for name in ("unit", "view")],
        ]
    )
    return pa.Table.from_pylist([_cells(row) for row in listed], schema=schema)


def comparison_warnings(rows: Iterable[AblationRow]) -> list[str]:
    """One sentence for each property and split whose rows rest on different materials."""
    sentences = []
    for (name, split), group in groupby(
        rows, key=lambda row: (row.first.parameters.property, row.first.parameters.split)
    ):
        sizes: dict[str, str] = {}
        for row in group:
            folds = row.first.metrics["folds"]
            sizes[row.materials] = "/".join(str(folds[fold]["n"]) for fold in FOLDS)
        if len(sizes) > 1:
            listed = ", ".join(f"{letter}: {size}" for letter, size in sorted(sizes.items()))
            sentences.append(
                f"the models of {name} on split {split} rest on different materials (train/val/"
                f"test {listed}); compare only rows with the same letter"
            )
    return sentences


def _material_sets(session: Session) -> dict[str, str]:
    rows = session.query(
        """
        SELECT model_id,
               sha256(string_agg(fold || ' ' || material_id, ',' ORDER BY fold, material_id)) AS ids
        FROM predictions GROUP BY model_id
        """
    ).to_pylist()
    return {row["model_id"]: row["ids"] for row in rows}


def _cells(row: AblationRow) -> dict[str, Any]:
    model, p = row.first, row.first.parameters
    folds = model.metrics["folds"]
    return {
        "property": p.property,
        "split": p.split,
        "features": p.features_name,
        "text_source": model.text_source,
        "structure_encoder": p.structure_encoder,
        "text_encoder": p.text_encoder,
        "variant": p.variant if p.generator_id else None,
        "predictor": predictor_label(model),
        "materials": row.materials,
        **{f"n_{fold}": folds[fold]["n"] for fold in FOLDS},
        "seeds": len(row.models),
        f"test_{model.task.error}": row.test_error,
        f"test_{model.task.error}_std": row.test_error_std,
        **measured_of(row.models),
        "unit": p.unit,
        "view": model.view_fingerprint[:8],
    }
