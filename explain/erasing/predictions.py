"""What models predict for the same materials with other variants of their texts.

Rows and vectors come from the store, the predictions go there, into ``erasures``; nothing is
encoded. Where vectors are missing, the error has the commands that make them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from explain.erasing.outputs import output_columns, outputs, places_of
from explain.erasing.rows import check_fold, check_reproduced, view_rows
from explain.erasing.stored import erasure_table
from explain.erasing.texts import ErasedText
from featurestore.commands import describing_command
from featurestore.errors import MissingContentError, MissingDataError
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from featurestore.texts.renderings import render
from featurestore.vectors import Vectors
from featurestore.views.sql import text_columns
from featurestore.views.view import load_view
from train.models import SeedGroup
from train.predictors.loading import LoadedModel, load_model

_ROWS_AT_ONCE = 8192


@dataclass(frozen=True, eq=False)
class Explained:
    """Models that differ only by their seed, and the texts on which they are explained.

    Parameters
    ----------
    models : SeedGroup
        In order of the seed.
    text : ErasedText
        Which of their texts is erased.
    fold : str or None
        Whose rows they are; None for the rows of every fold.
    material_ids : tuple of str
        The n materials for which predictions are stored, sorted.
    stored : ndarray, shape (seeds, n), float64
        Those predictions.
    text_ids : mapping of str to tuple of str
        For each variant the text of each material.
    targets : ndarray, shape (n,), float64
        What should be predicted; see `explain.erasing.outputs`.
    places : tuple of (tuple of int or None)
        For each model the classes it predicts; None for a property of numbers.
    """

    models: SeedGroup
    text: ErasedText
    fold: str | None
    material_ids: tuple[str, ...]
    stored: npt.NDArray[np.float64] = field(repr=False)
    text_ids: Mapping[str, tuple[str, ...]] = field(repr=False)
    targets: npt.NDArray[np.float64] = field(repr=False)
    places: tuple[tuple[int, ...] | None, ...] = field(repr=False)


@dataclass(frozen=True, eq=False)
class VariantPredictions:
    """Predictions of some seeds for n materials, in the property's unit, or probabilities.

    Parameters
    ----------
    explained : Explained
        Models, materials and texts.
    targets : ndarray, shape (n,), float64
        What should be predicted.
    truncated : ndarray, shape (n,), bool
        Whether the encoder has cut the full text.
    predictions : mapping of str to ndarray, shape (seeds, n), float64
        By variant; "full" among them.
    """

    explained: Explained
    targets: npt.NDArray[np.float64] = field(repr=False)
    truncated: npt.NDArray[np.bool_] = field(repr=False)
    predictions: Mapping[str, npt.NDArray[np.float64]] = field(repr=False)

    def errors(self, variant: str) -> npt.NDArray[np.float64]:
        """Absolute errors with a variant: shape (seeds, n)."""
        return np.abs(self.predictions[variant] - self.targets)

    def changed(self, variant: str) -> npt.NDArray[np.bool_]:
        """Which texts the variant changes: shape (n,), bool."""
        texts = self.explained.text_ids
        return np.array([a != b for a, b in zip(texts[variant], texts["full"], strict=True)])


def explained_texts(
    session: Session,
    models: SeedGroup,
    text: ErasedText,
    fold: str | None,
    variants: Sequence[str],
) -> Explained:
    """The materials that models have stored predictions for, with one text in each variant.

    Of one fold, or of every fold, whose predictions need not be the models' own then.

    Raises
    ------
    InvalidInputError
        If the models have learned from the fold.
    MissingDataError
        If there are no predictions for the fold, or a material no longer has a text.
    """
    p, generator = models[0].parameters, text.generator
    if fold is not None:
        check_fold(models[0], fold)
    tables = [
        session.query(
            f"SELECT material_id, structure_id, {output_columns()} FROM predictions "
            "LEFT JOIN materials USING (material_id) WHERE model_id = ? "
            "AND fold = coalesce(?, fold) ORDER BY material_id",
            [model.model_id, fold],
        )
        for model in models
    ]
    if not tables[0].num_rows:
        of_fold = "" if fold is None else f" for fold {fold!r}"
        raise MissingDataError(f"model {models[0].model_id} has no predictions{of_fold}")
    structures = tables[0]["structure_id"].to_pylist()
    materials = tables[0]["material_id"].to_pylist()
    names = list(dict.fromkeys(["full", *variants]))
    texts: dict[str, dict[str, str]] = {name: {} for name in names}
    for table in render(
        session,
        generator.generator_id,
        [structure for _ in names for structure in structures],
        [name for name in names for _ in structures],
    ):
        columns = (table[name].to_pylist() for name in ("variant", "structure_id", "text_id"))
        for variant, structure, one in zip(*columns, strict=True):
            texts[variant][structure] = one
    silent = [m for m, s in zip(materials, structures, strict=True) if s not in texts["full"]]
    if silent:
        raise MissingContentError(
            f"{len(silent)} of the {len(materials)} materials have no {generator.source} text, for "
            f"example {silent[0]}",
            [describing_command(session, generator, {"property": p.property})],
        )
    return Explained(
        models=models,
        text=text,
        fold=fold,
        material_ids=tuple(materials),
        stored=np.stack([table["prediction"].to_numpy() for table in tables]),
        text_ids={
            name: tuple(texts[name][structure] for structure in structures) for name in names
        },
        targets=tables[0]["target"].to_numpy(),
        places=tuple(
            places_of(model, table["place"].to_pylist())
            for model, table in zip(models, tables, strict=True)
        ),
    )


def predict_variants(
    store: FeatureStore, session: Session, group: Explained, run: Run
) -> VariantPredictions:
    """Predict each variant of each text and store it in ``erasures``.

    A text that a variant leaves as it is, or that two variants share, is predicted once.

    Raises
    ------
    InvalidInputError
        If the models no longer give their stored predictions.
    MissingDataError
        If a material is no longer in the models' training view.
    """
    p = group.models.parameters
    full = load_view(session, p)
    rows = view_rows(full, group.material_ids, group.models.first)
    features = full.features[rows]
    loaded = [load_model(store, model.model_id) for model in group.models]
    whole = np.stack(
        [outputs(model, features, of) for model, of in zip(loaded, group.places, strict=True)]
    )
    for model, predicted, stored in zip(loaded, whole, group.stored, strict=True):
        check_reproduced(model, predicted, stored)
    pairs: dict[tuple[int, str], int] = {}
    for texts in group.text_ids.values():
        for row, text in enumerate(texts):
            if text != group.text_ids["full"][row]:
                pairs.setdefault((row, text), len(pairs))
    others = _predict_pairs(session, group, loaded, features, list(pairs))
    predictions = {
        variant: np.stack(
            [
                whole[:, row] if text == full_text else others[:, pairs[row, text]]
                for row, (text, full_text) in enumerate(
                    zip(texts, group.text_ids["full"], strict=True)
                )
            ],
            axis=1,
        )
        for variant, texts in group.text_ids.items()
    }
    truncated = full.rows[text_columns(group.text.number)[2]].take(rows).to_numpy().astype(bool)
    result = VariantPredictions(group, group.targets, truncated, predictions)
    for number, stored_model in enumerate(group.models):
        table = _erasure_rows(stored_model.model_id, number, result, run)
        run.counts["erasures"] += store.merge("erasures", table, replace=True).written
    return result


def _predict_pairs(
    session: Session,
    group: Explained,
    models: Sequence[LoadedModel],
    features: npt.NDArray[np.float32],
    pairs: Sequence[tuple[int, str]],
) -> npt.NDArray[np.float64]:
    """Predictions for rows with other texts: shape (seeds, number of pairs)."""
    text = group.text
    distinct = list(dict.fromkeys(one for _, one in pairs))
    vectors = Vectors.of(session, text.encoder).read(distinct, text.of_vector)
    place = {one: number for number, one in enumerate(distinct)}
    parts = []
    for first in range(0, len(pairs), _ROWS_AT_ONCE):
        chosen = pairs[first : first + _ROWS_AT_ONCE]
        changed = features[[row for row, _ in chosen]]
        changed[:, text.start : text.stop] = vectors[[place[one] for _, one in chosen]]
        parts.append(
            np.stack(
                [
                    outputs(model, changed, None if of is None else [of[row] for row, _ in chosen])
                    for model, of in zip(models, group.places, strict=True)
                ]
            )
        )
    return np.concatenate(parts, axis=1) if parts else np.empty((len(models), 0))


def _erasure_rows(model_id: str, number: int, result: VariantPredictions, run: Run) -> pa.Table:
    """All variants of one model."""
    group = result.explained
    variants = [variant for variant in group.text_ids if variant != "full"]
    n, of = len(group.material_ids), result.predictions
    return erasure_table(
        model_id,
        [group.text.method(_erasure(variant)) for variant in variants for _ in range(n)],
        [variant for variant in variants for _ in range(n)],
        run.run_id,
        material_ids=list(group.material_ids) * len(variants),
        text_ids=[text for variant in variants for text in group.text_ids[variant]],
        targets=np.tile(result.targets, len(variants)),
        predictions=np.tile(of["full"][number], len(variants)),
        erased=np.array([of[variant][number] for variant in variants]).ravel(),
    )


def _erasure(variant: str) -> str:
    """How a variant erases: "deletion" or "mask"."""
    return "mask" if variant.startswith("mask:") else "deletion"
