"""Erasure results as the store holds them, for several seeds at once; nothing is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.session import Session
from featurestore.tables.schemas import TABLES
from train.models import StoredModel


@dataclass(frozen=True, eq=False)
class ErasureRows:
    """Predictions of several seeds for the same materials, with and without parts of the input.

    Parameters
    ----------
    variants : tuple of str
        What was erased, v of them.
    material_ids, folds : tuple of str
        The n materials, sorted, with the fold of each.
    targets : ndarray, shape (n,), float64
        In the unit of the property, like the predictions.
    predictions : ndarray, shape (seeds, n), float64
        With the full input.
    erased : ndarray, shape (v, seeds, n), float64
        Without the part.
    """

    variants: tuple[str, ...]
    material_ids: tuple[str, ...]
    folds: tuple[str, ...]
    targets: npt.NDArray[np.float64] = field(repr=False)
    predictions: npt.NDArray[np.float64] = field(repr=False)
    erased: npt.NDArray[np.float64] = field(repr=False)

    @property
    def changes(self) -> npt.NDArray[np.float64]:
        """Prediction without the part minus the prediction with it: shape (v, seeds, n)."""
        return self.erased - self.predictions


def stored_erasures(
    session: Session,
    models: Sequence[StoredModel],
    method: str,
    *,
    variants: Sequence[str] | None = None,
    materials: Sequence[str] | None = None,
    fold: str | None = None,
) -> ErasureRows:
    """The stored results of one method, for the variants and materials that all models have.

    Parameters
    ----------
    session : Session
        Where they are.
    models : sequence of StoredModel
        Seeds of one kind.
    method : str
        As in the table ``erasures``.
    variants, materials : sequence of str, optional
        Only these; the result may lack some.
    fold : {"train", "val", "test"}, optional
        Only its materials.
    """
    rows = session.query(
        """
        WITH chosen AS (
            SELECT e.model_id, e.variant, e.material_id, p.fold, e.target, e.prediction,
                   e.erased_prediction
            FROM erasures e JOIN predictions p USING (model_id, material_id)
            WHERE list_contains($models, e.model_id) AND e.method = $method
              AND ($variants IS NULL OR list_contains($variants, e.variant))
              AND ($materials IS NULL OR list_contains($materials, e.material_id))
              AND ($fold IS NULL OR p.fold = $fold)
        ),
        whole AS (
            SELECT variant, material_id FROM chosen GROUP BY ALL HAVING count(*) = $seeds
        ),
        -- a material counts if it has every variant that any material has
        complete AS (
            SELECT material_id FROM whole GROUP BY ALL
            HAVING count(*) = (SELECT count(DISTINCT variant) FROM whole)
        )
        SELECT * FROM chosen JOIN whole USING (variant, material_id)
        WHERE material_id IN (FROM complete)
        ORDER BY variant, model_id, material_id
        """,
        {
            "models": [model.model_id for model in models],
            "method": method,
            "variants": None if variants is None else list(variants),
            "materials": None if materials is None else list(materials),
            "fold": fold,
            "seeds": len(models),
        },
    )
    found = sorted(set(rows["variant"].to_pylist()))
    ids = sorted(set(rows["material_id"].to_pylist()))
    ordered = sorted(range(len(models)), key=lambda i: models[i].model_id)
    place = np.argsort(ordered)
    shape = (len(found), len(models), len(ids))

    def cube(name: str) -> npt.NDArray[np.float64]:
        values = rows[name].to_numpy().reshape(shape)
        return np.asarray(values[:, place, :], dtype=np.float64)

    if not found:
        empty = np.empty(shape)
        return ErasureRows(
            variants=(),
            material_ids=(),
            folds=(),
            targets=np.empty(0),
            predictions=np.empty(shape[1:]),
            erased=empty,
        )
    folds = dict(zip(rows["material_id"].to_pylist(), rows["fold"].to_pylist(), strict=True))
    return ErasureRows(
        variants=tuple(found),
        material_ids=tuple(ids),
        folds=tuple(folds[one] for one in ids),
        targets=cube("target")[0, 0],
        predictions=cube("prediction")[0],
        erased=cube("erased_prediction"),
    )


def erasure_table(
    model_id: str,
    methods: Sequence[str],
    variants: Sequence[str],
    run_id: str,
    *,
    material_ids: Sequence[str],
    text_ids: Sequence[str],
    targets: npt.NDArray[np.float64],
    predictions: npt.NDArray[np.float64],
    erased: npt.NDArray[np.float64],
) -> pa.Table:
    """One model's results as n rows of the table ``erasures``.

    Parameters
    ----------
    methods, variants, material_ids, text_ids : sequence of str
        Of each row; the text that was read, empty for a model without text.
    targets, predictions, erased : ndarray, shape (n,), float64
        In the unit of the property.
    """
    n = len(variants)
    return pa.table(
        {
            "model_id": pa.repeat(model_id, n),
            "method": pa.array(methods, pa.string()),
            "variant": pa.array(variants, pa.string()),
            "material_id": pa.array(material_ids, pa.string()),
            "text_id": pa.array(text_ids, pa.string()),
            "target": targets,
            "prediction": predictions,
            "erased_prediction": erased,
            "run_id": pa.repeat(run_id, n),
        },
        schema=TABLES["erasures"].schema,
    )
