"""From questions to hits: each question ranks the candidates, several rankings are fused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.catalogue import structure_of
from featurestore.commands import describing_command, encoding_command
from featurestore.errors import MissingContentError
from featurestore.query.conditions import materials_where, named_properties
from featurestore.quoting import SQL
from featurestore.search.cache import SearchCache
from featurestore.search.explanation import explained
from featurestore.search.fusion import depth, fused
from featurestore.search.hits import Among, Hits, HoldsWords, NearVector
from featurestore.search.metrics import check_count, check_metric, checked_queries
from featurestore.search.questions import Question, question_maker
from featurestore.search.words import word_scores
from featurestore.session import Session

_SHOWN = ("formula", "space_group", "crystal_system")


def find(
    cache: SearchCache,
    session: Session,
    questions: Sequence[Question],
    among: Among,
    *,
    metric: str = "cosine",
    explain_for: str | None = None,
    explain: bool = False,
    exact: bool = False,
) -> Hits:
    """Materials that answer one question, or several fused by reciprocal rank.

    Parameters
    ----------
    cache : SearchCache
        What has been read already.
    session : Session
        Where.
    questions : sequence of NearVector or HoldsWords
        What is looked for.
    among : Among
        Which materials, and how many.
    metric : {"cosine", "l2", "dot"}
        Distance of vectors.
    explain : bool
        Say for each hit how far each segment of its vector is, and which sentences it shares.
    explain_for : str, optional
        The structure_id of the material that the sentences are compared with.
    exact : bool
        Not to use a search index.

    Raises
    ------
    InvalidInputError, UnknownNameError, MissingDataError, QueryError
        For questions, conditions or counts that have no answer.
    """
    check_metric(metric)
    check_count(among.k)
    notes: list[str] = []
    candidates = materials_where(
        session,
        among.where,
        ["material_id", "structure_id"],
        property_source=among.property_source,
    ).sort_by("material_id")
    if among.without is not None:
        candidates = candidates.filter(pc.not_equal(candidates["material_id"], among.without))
    wanted = among.k if len(questions) == 1 else depth(among.k)
    rankings = [
        _ranking(cache, session, question, candidates, wanted, metric, exact, notes)
        for question in questions
    ]
    if len(rankings) == 1:
        ranking = rankings[0]
    else:
        ranking = _fused([(_name(q), r) for q, r in zip(questions, rankings, strict=True)])
        ranking = ranking.slice(0, among.k)
    if not ranking.num_rows:
        notes.append("no material has what is searched and fulfils the condition")
    table = _shown(session, ranking, among)
    notes += _reading_notes(session, table["material_id"].to_pylist())
    if explain:
        table = explained(session, cache.space, table, questions, metric, explain_for)
    return Hits(table, tuple(notes))


def of_material(
    cache: SearchCache,
    session: Session,
    material_id: str,
    kind: str,
    *,
    encoder: str | None = None,
    text_source: str | None = None,
    variant: str = "full",
) -> NearVector:
    """The question for what is near a stored material in the structure or text space.

    Raises
    ------
    UnknownNameError
        If there is no such material.
    MissingDataError
        If it has no vector there; the message says how to make it.
    """
    make = question_maker(session, kind, encoder=encoder, text_source=text_source, variant=variant)
    asked = make(np.empty(0, np.float32))
    space = cache.space(session, asked.encoder)
    content_id = structure_of(session, material_id)
    source, alone = None, {"material": material_id}
    if asked.generator is not None:
        source = asked.generator.source
        links, _ = cache.links(session, asked.generator, asked.variant)
        mine = links.filter(pc.equal(links["structure_id"], content_id))
        if not mine.num_rows:
            raise MissingContentError(
                f"material {material_id!r} is not described by {source}",
                [describing_command(session, asked.generator, alone)],
            )
        content_id = mine["text_id"][0].as_py()
    vector = space.vector_of(content_id)
    if vector is None:
        raise MissingContentError(
            f"material {material_id!r} has no vector of {asked.encoder.encoder_id}",
            [encoding_command(session, asked.encoder, source, [asked.variant], alone)],
        )
    return make(vector)


def _ranking(
    cache: SearchCache,
    session: Session,
    question: Question,
    candidates: pa.Table,
    wanted: int,
    metric: str,
    exact: bool,
    notes: list[str],
) -> pa.Table:
    """material_id and distance or score of the best so many candidates, best first."""
    if isinstance(question, HoldsWords):
        return _by_words(cache, session, question, candidates, wanted, notes)
    space = cache.space(session, question.encoder)
    vector = checked_queries(question.vector, question.encoder.dimension, metric)
    linked = candidates.rename_columns(["material_id", "content_id"])
    if question.generator is not None:
        links, _ = cache.links(session, question.generator, question.variant)
        places = pc.index_in(candidates["structure_id"], links["structure_id"].combine_chunks())
        linked = pa.table(
            {
                "material_id": candidates["material_id"],
                "content_id": links["text_id"].combine_chunks().take(places.combine_chunks()),
            }
        )
    rows = space.rows_of(linked["content_id"].drop_null())
    found = space.nearest(
        vector,
        min(wanted, max(len(rows), 1)),
        metric,
        among=None if len(rows) == len(space) else rows,
        exact=exact,
    )
    near = found.rows[0][found.rows[0] >= 0]
    ids = space.ids.take(pa.array(near))
    place = pc.index_in(linked["content_id"], ids)
    there = pc.is_valid(place)
    # Several materials may share a structure or a text; they come in order of their id.
    place = place.filter(there).to_numpy()
    ranking = pa.table(
        {
            "material_id": linked["material_id"].filter(there),
            "distance": pa.array(found.distances[0][place], pa.float64()),
        }
    )
    order = [("distance", "ascending"), ("material_id", "ascending")]
    return ranking.sort_by(order).slice(0, wanted)


def _by_words(
    cache: SearchCache,
    session: Session,
    question: HoldsWords,
    candidates: pa.Table,
    wanted: int,
    notes: list[str],
) -> pa.Table:
    texts = cache.lengths(session, question)
    scores, absent = word_scores(session, question, texts)
    if absent:
        named = ", ".join(map(repr, absent))
        notes.append(f"no text of {question.generator.source} holds {named}")
    places = pc.index_in(candidates["structure_id"], texts.ids)
    there = pc.is_valid(places)
    found = scores[places.filter(there).to_numpy()]
    ranking = pa.table(
        {
            "material_id": candidates["material_id"].filter(there),
            "score": pa.array(found, pa.float64()),
        }
    )
    ranking = ranking.filter(pc.greater(ranking["score"], 0.0))
    order = [("score", "descending"), ("material_id", "ascending")]
    return ranking.sort_by(order).slice(0, wanted)


def _shown(session: Session, ranking: pa.Table, among: Among) -> pa.Table:
    """The ranking with what people know a material by."""
    columns = ["material_id", *_SHOWN, *named_properties(session, [among.where or ""])]
    ids = ranking["material_id"].to_pylist()
    facts = materials_where(
        session,
        None,
        columns,
        among=SQL("SELECT * FROM materials WHERE list_contains(?, material_id)"),
        parameters=[ids],
        property_source=among.property_source,
    )
    places = pc.index_in(ranking["material_id"], facts["material_id"].combine_chunks())
    facts = facts.take(places.combine_chunks())
    table = pa.table({"rank": pa.array(range(1, len(ids) + 1), pa.int64())})
    for name in columns:
        table = table.append_column(name, facts[name])
    for name in ranking.column_names[1:]:
        table = table.append_column(name, ranking[name])
    return table


def _reading_notes(session: Session, ids: Sequence[str]) -> list[str]:
    """What was not plain in reading the structures of hits."""
    rows = session.query(
        "SELECT material_id, notes FROM materials "
        "WHERE notes IS NOT NULL AND list_contains(?, material_id) ORDER BY material_id",
        [list(ids)],
    ).to_pylist()
    return [f"{row['material_id']}, {note}" for row in rows for note in row["notes"]]


def _name(question: Question) -> str:
    return "words" if isinstance(question, HoldsWords) else question.encoder.kind


def _fused(rankings: Sequence[tuple[str, pa.Table]]) -> pa.Table:
    """material_id, the fused score, and each ranking's rank and distance or score."""
    best = fused([ranking["material_id"].to_pylist() for _, ranking in rankings])
    columns: dict[str, Any] = {
        "material_id": pa.array([name for name, _ in best], pa.string()),
        "score": pa.array([score for _, score in best], pa.float64()),
    }
    for name, ranking in rankings:
        place = pc.index_in(columns["material_id"], ranking["material_id"].combine_chunks())
        measure = ranking.column_names[1]
        columns[f"{name}_rank"] = pc.add(place.cast(pa.int64()), 1)
        columns[f"{name}_{measure}"] = ranking[measure].combine_chunks().take(place)
    return pa.table(columns)
