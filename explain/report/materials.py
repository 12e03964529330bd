"""Worked materials: their texts, words and nearest neighbours."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from explain.erasing.kinds import ERASURES
from explain.erasing.rows import StoredPredictions
from explain.erasing.texts import erased_texts
from explain.report.folds import by_error
from explain.report.model import MaterialRow, Neighbour, WorkedMaterial
from explain.words.contributions import Contributions, stored_contributions
from explain.words.description import Description, describe
from featurestore.errors import UnknownNameError
from featurestore.search.exact import ExactSearch
from featurestore.session import Session
from featurestore.views.features import VectorFeature
from featurestore.views.request import GRAPH
from featurestore.views.view import TrainingView
from train.models import SeedGroup

_NEIGHBOURS = 5


_WORKED = 3


def worked_materials(
    session: Session,
    models: SeedGroup,
    stored: StoredPredictions,
    known: Sequence[MaterialRow],
    view: TrainingView,
    wanted: Sequence[str],
    store_uri: str,
) -> tuple[WorkedMaterial, ...]:
    """The materials shown in full: those asked for, else a choice of the test fold."""
    place = {row.material_id: i for i, row in enumerate(known)}
    for material_id in wanted:
        if material_id not in place:
            raise UnknownNameError(
                f"material of model {models[0].model_id}", material_id, list(place)[:50]
            )
    chosen = dict.fromkeys(wanted, "Chosen") or _chosen(session, models, stored)
    return tuple(
        WorkedMaterial(
            known[place[material_id]],
            why,
            *_texts(session, models, material_id, store_uri),
            _neighbours(session, view, material_id),
        )
        for material_id, why in chosen.items()
    )


def _chosen(session: Session, models: SeedGroup, stored: StoredPredictions) -> dict[str, str]:
    """Three test materials: those whose words are measured, then by their error."""
    order = [stored.material_ids[i] for i in by_error(stored)]
    if not order:
        return {}
    measured = session.query(
        "SELECT DISTINCT material_id FROM erasures "
        "WHERE model_id = ? AND contains(variant, ':word:')",
        [models[0].model_id],
    )["material_id"].to_pylist()
    found = {one: "One whose words have been measured" for one in order if one in set(measured)}
    by_rule = {
        order[0]: "The best predicted test material",
        order[len(order) // 2]: "The median test material by error",
        order[-1]: "The worst predicted test material",
    }
    together = {one: by_rule.get(one, why) for one, why in found.items()} | {
        one: why for one, why in by_rule.items() if one not in found
    }
    return dict(list(together.items())[:_WORKED])


def _texts(
    session: Session, models: SeedGroup, material_id: str, store_uri: str
) -> tuple[Description | None, tuple[Contributions, ...], str | None]:
    if not models[0].parameters.texts:
        return None, (), None
    # A page has room for one text: the first that the models read.
    text = erased_texts(session, models[0])[0]
    description = describe(session, material_id, text.generator.generator_id)
    texts = []
    for erasure in ERASURES:
        found = stored_contributions(session, models, text, description, "word", erasure)
        if found is not None:
            texts.append(found)
    words = ["featurestore", "explain", "words", material_id, "--model", models[0].model_id]
    place = ["--store", store_uri] if store_uri else []
    several = [] if text.alone else ["--text", text.name]
    no_words = texts or models[0].cross_validation  # it learned from the material
    command = None if no_words else shlex.join([*words, *several, "--encode", *place])
    return description, tuple(texts), command


def _neighbours(
    session: Session, view: TrainingView, material_id: str
) -> tuple[tuple[str, tuple[Neighbour, ...]], ...]:
    if view.parameters.features == GRAPH or material_id not in view.material_ids:
        return ()
    query = view.material_ids.index(material_id)
    crystal = view.rows["structure_id"].to_pylist()
    others = np.flatnonzero([one != crystal[query] for one in crystal])
    found = []
    for block in view.blocks:
        if isinstance(block.feature, VectorFeature):
            rows = _nearest(view.features[:, block.start : block.stop], query, others)
            found.append((block.name, _named(session, view, rows)))
    return tuple(found)


def _nearest(
    vectors: npt.NDArray[np.float32], query: int, others: npt.NDArray[np.int64]
) -> list[tuple[int, float]]:
    """The rows among ``others`` most alike to a row, with their cosine; none of a zero vector."""
    if not vectors[query].any():
        return []
    search = ExactSearch(np.ascontiguousarray(vectors))
    nearest = search.nearest(vectors[query], _NEIGHBOURS, among=others)
    return [
        (int(row), 1 - float(distance))
        for row, distance in zip(nearest.rows[0], nearest.distances[0], strict=True)
    ]


def _named(
    session: Session, view: TrainingView, rows: Sequence[tuple[int, float]]
) -> tuple[Neighbour, ...]:
    ids = [view.material_ids[i] for i, _ in rows]
    formulas = {
        row["material_id"]: row["formula"]
        for row in session.query(
            "SELECT material_id, formula FROM materials WHERE list_contains(?, material_id)", [ids]
        ).to_pylist()
    }
    folds = view.rows["fold"]
    return tuple(
        Neighbour(
            material_id=one,
            formula=formulas[one],
            fold=folds[i].as_py(),
            target=float(view.targets[i]),
            cosine=cosine,
        )
        for one, (i, cosine) in zip(ids, rows, strict=True)
    )
