"""Rows like a view's for materials without targets: what a trained model predicts by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from featurestore.quoting import SQL, literal
from featurestore.session import Session
from featurestore.views.features import VectorFeature
from featurestore.views.lacking import lacking_of
from featurestore.views.parameters import ViewParameters
from featurestore.views.sql import rows_sql
from featurestore.views.view import SelectedView, view_parts_of

_IDS_A_QUERY = 5000


def select_candidates(
    session: Session, parameters: ViewParameters, material_ids: Sequence[str]
) -> tuple[SelectedView, dict[str, str]]:
    """The rows of materials, whether or not they have a target, a fold or fulfil the view's where.

    Parameters
    ----------
    session : Session
        Where the materials are.
    parameters : ViewParameters
        Of the view whose columns are wanted.
    material_ids : sequence of str
        Materials of the store, each once.

    Returns
    -------
    SelectedView
        The rows of those that have everything, in order of material_id; ``target`` and ``fold`` are
        null.
    dict of str to str
        What each of the others lacks, in words.
    """
    asked = replace(parameters, split=None, where=None, where_sources=(), where_classes=())
    tables: list[pa.Table] = []
    lacking: dict[str, str] = {}
    for first in range(0, max(1, len(material_ids)), _IDS_A_QUERY):
        among = _materials(material_ids[first : first + _IDS_A_QUERY])
        tables.append(session.read_only_query(rows_sql(asked, among, SQL("true"))))
    rows = pa.concat_tables(tables).sort_by("material_id")
    usable = _with_finite_numbers(asked, rows, lacking)
    rows = rows.filter(pa.array(usable, pa.bool_()))
    missing = sorted(set(material_ids) - set(rows["material_id"].to_pylist()) - set(lacking))
    for first in range(0, len(missing), _IDS_A_QUERY):
        part = missing[first : first + _IDS_A_QUERY]
        lacking |= lacking_of(session, asked, _materials(part))
        # a null among the numbers of a property, for example
        lacking |= {one: "material" for one in part if one not in lacking}
    view = SelectedView(
        parameters=asked,
        sql="",
        rows=rows,
        excluded={},
        versions=dict(session.versions),
        parts=view_parts_of(session, asked),
    )
    return view, lacking


def _materials(material_ids: Sequence[str]) -> SQL:
    """The materials of these ids, with the columns of `targets`."""
    ids = SQL(", ".join(literal(one) for one in material_ids) or "NULL")
    return SQL(
        "(SELECT material_id, structure_id, NULL::VARCHAR AS fold, NULL::DOUBLE AS target "
        f"FROM materials WHERE material_id IN ({ids}))"
    )


def _with_finite_numbers(
    parameters: ViewParameters, rows: pa.Table, lacking: dict[str, str]
) -> list[bool]:
    """Which rows have a finite float32 for each feature that is a number; others are named."""
    usable = np.ones(rows.num_rows, bool)
    for feature in parameters.parts:
        if isinstance(feature, VectorFeature):
            continue
        values = rows[str(feature)].to_numpy()
        with np.errstate(over="ignore"):
            finite = np.isfinite(np.asarray(values, np.float64).astype(np.float32))
        for row in np.flatnonzero(~finite & usable):
            lacking[rows["material_id"][int(row)].as_py()] = f"finite value of {feature}"
        usable &= finite
    found: list[bool] = usable.tolist()
    return found
