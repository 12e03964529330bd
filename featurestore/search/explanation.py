"""Why a material was found: how far each segment of its vector is, which sentences it shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.catalogue import Encoder, Generator, generators
from featurestore.search.exact import ExactSearch
from featurestore.search.hits import HoldsWords, NearVector
from featurestore.search.spaces import Space
from featurestore.search.stems import stem
from featurestore.search.words import query_words, words_in
from featurestore.session import Session


def explained(
    session: Session,
    space_of: Callable[[Session, Encoder], Space],
    table: pa.Table,
    questions: Sequence[NearVector | HoldsWords],
    metric: str,
    structure_id: str | None,
) -> pa.Table:
    """The hits with a column for each segment of each vector, and one of sentences.

    ``structure.atom`` and so on are distances between the slices of that name. ``shared`` holds
    the sentences that a hit has word for word in common with the structure that was asked for, by
    generator and in order; for a search by words, those that hold most of them.
    """
    ids = table["material_id"].to_pylist()
    for question in questions:
        if isinstance(question, NearVector):
            space = space_of(session, question.encoder)
            for name, distances in _segments(session, space, ids, question, metric):
                table = table.append_column(name, pa.array(distances, from_pandas=True))
    words = [question for question in questions if isinstance(question, HoldsWords)]
    if words:
        found = _holding(session, ids, words[0].query, words[0].generator)
        return table.append_column("sentences", pa.array(found, pa.list_(pa.string())))
    if structure_id is not None:
        shared = _shared(session, ids, structure_id, _generators(session, questions))
        return table.append_column("shared", pa.array(shared, pa.list_(pa.string())))
    return table


def segment_distances(
    query: npt.NDArray[np.float32],
    vectors: npt.NDArray[np.float32],
    segments: Sequence[tuple[str, int, int]],
    metric: str,
) -> dict[str, npt.NDArray[np.float64]]:
    """Distances of the named slices of each vector from the query's: shape (n,) each, float64."""
    found = {}
    for name, start, stop in segments:
        part = np.ascontiguousarray(vectors[:, start:stop])
        search = ExactSearch(part)
        rows = np.arange(len(part))
        own = np.ascontiguousarray(query[None, start:stop])
        if metric == "cosine" and not own.any():
            found[name] = np.full(len(part), np.nan)
            continue
        found[name] = search.distances(own, np.zeros_like(rows), rows, metric)
    return found


def _segments(
    session: Session, space: Space, ids: list[str], question: NearVector, metric: str
) -> list[tuple[str, npt.NDArray[np.float64]]]:
    contents = _contents(session, ids, question)
    there = [number for number, content in enumerate(contents) if content is not None]
    places = space.rows_of(pa.array([contents[number] for number in there], pa.string()))
    known = set(space.ids.take(pa.array(places)).to_pylist())
    there = [number for number in there if contents[number] in known]
    vectors = space.vectors_of([str(contents[number]) for number in there])
    parts = segment_distances(question.vector, vectors, question.encoder.segments, metric)
    columns = []
    for name, distances in parts.items():
        column = np.full(len(ids), np.nan)
        column[there] = distances
        columns.append((f"{question.encoder.kind}.{name}", column))
    return columns


def _contents(session: Session, ids: list[str], question: NearVector) -> list[str | None]:
    """The structure_id or text_id of each material."""
    if question.generator is None:
        sql, given = "SELECT material_id, structure_id AS id FROM materials", []
    else:
        sql = (
            "SELECT material_id, text_id AS id FROM materials "
            "LEFT JOIN texts(?, variant := ?) USING (structure_id)"
        )
        given = [question.generator.generator_id, question.variant]
    rows = session.query(f"{sql} WHERE list_contains(?, material_id)", [*given, ids]).to_pylist()
    found = {row["material_id"]: row["id"] for row in rows}
    return [found[one] for one in ids]


def _generators(session: Session, questions: Sequence[NearVector | HoldsWords]) -> list[Generator]:
    """The generators that the questions name, else all."""
    named = [question.generator for question in questions if question.generator is not None]
    return named or generators(session)


def _shared(
    session: Session, ids: list[str], structure_id: str, among: Sequence[Generator]
) -> list[list[str]]:
    names = [generator.generator_id for generator in among]
    rows = session.query(
        "SELECT m.material_id, s.sentence FROM sentences s JOIN materials m USING (structure_id) "
        "WHERE list_contains(?, m.material_id) AND list_contains(?, s.generator_id) "
        "AND (s.generator_id, s.sentence) IN (SELECT (generator_id, sentence) FROM sentences "
        "WHERE structure_id = ?) ORDER BY s.generator_id, s.position",
        [ids, names, structure_id],
    ).to_pylist()
    found: dict[str, list[str]] = {one: [] for one in ids}
    for row in rows:
        found[row["material_id"]].append(row["sentence"])
    return [found[one] for one in ids]


def _holding(
    session: Session, ids: list[str], query: str, generator: Generator, most: int = 2
) -> list[list[str]]:
    """Of each material the sentences with most of the words, at most so many, in their order."""
    rows = session.query(
        "SELECT m.material_id, s.position, s.sentence FROM sentences s "
        "JOIN materials m USING (structure_id) WHERE list_contains(?, m.material_id) "
        "AND s.generator_id = ? ORDER BY s.position",
        [ids, generator.generator_id],
    ).to_pylist()
    wanted = {stem(word) for word in query_words(query)}
    found: dict[str, list[tuple[int, int, str]]] = {one: [] for one in ids}
    for row in rows:
        count = len(wanted & {stem(word) for word in words_in(row["sentence"])})
        if count:
            found[row["material_id"]].append((-count, row["position"], row["sentence"]))
    return [
        [text for _, _, text in sorted(sorted(found[one])[:most], key=lambda entry: entry[1])]
        for one in ids
    ]
