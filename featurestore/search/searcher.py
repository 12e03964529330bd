"""Searches of one store; what they read stays in memory while the tables do not change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.catalogue import Encoder, Generator, find_generator, generators
from featurestore.errors import InvalidInputError, MissingDataError, UnknownNameError
from featurestore.query.conditions import materials_where, named_properties
from featurestore.schemas import embedding_table
from featurestore.search.exact import Rows
from featurestore.search.explanation import explained
from featurestore.search.fusion import depth, fused
from featurestore.search.hits import Among, Hits, HoldsWords, NearVector
from featurestore.search.indexing import RECALL, build_index, drop_index
from featurestore.search.metrics import check_count, check_metric, checked_queries
from featurestore.search.spaces import Neighbours, Space, choose_encoder, open_space
from featurestore.search.vector_index import VectorIndex
from featurestore.search.words import WordIndex
from featurestore.session import Session
from featurestore.variants import parse_variant

if TYPE_CHECKING:
    from featurestore.store import FeatureStore

_SHOWN = ("formula", "space_group", "crystal_system")

Question = NearVector | HoldsWords


class Search:
    """Similarity search in a store: ``store.search``.

    Vectors are read once and kept until their table changes.

    Parameters
    ----------
    store : FeatureStore
        Where.
    """

    def __init__(self, store: FeatureStore) -> None:
        self._store = store
        self._spaces: dict[str, Space] = {}
        self._texts: dict[tuple[Any, ...], Any] = {}

    def space(self, encoder: str | None = None, kind: str = "structure") -> Space:
        """The vectors of an encoder, by name or id; None: the only one of the kind.

        Raises
        ------
        UnknownNameError, InvalidInputError, MissingDataError
            If there is none, or there are several; see `choose_encoder`.
        """
        with self._store.session() as session:
            return self._space(session, _any_kind(session, encoder, kind))

    def like(
        self,
        vectors: Any,
        k: int = 10,
        *,
        encoder: str | None = None,
        metric: str = "cosine",
        where: str | None = None,
        text_source: str | None = None,
        variant: str = "full",
        exact: bool = False,
    ) -> Neighbours:
        """The k nearest structures, or texts, of each of many vectors.

        Parameters
        ----------
        vectors : array-like, shape (n_queries, width) or (width,)
            The queries.
        k : int
            Neighbours of each.
        encoder : str, optional
            Whose space; default: the only structure encoder.
        metric : {"cosine", "l2", "dot"}
            1 - cos, Euclidean distance, or minus the product.
        where : str, optional
            Only those of materials for which this SQL expression holds.
        text_source, variant : str
            For a text encoder: only texts of this source, in this variant.
        exact : bool
            Not to use a search index.

        Raises
        ------
        InvalidInputError, UnknownNameError, MissingDataError, QueryError
            For vectors that cannot be compared, and names or conditions the store does not know.
        """
        check_metric(metric)
        check_count(k)
        with self._store.session() as session:
            space = self._space(session, _any_kind(session, encoder, "structure"))
            among = self._content_rows(session, space, where, text_source, variant)
        return space.nearest(vectors, k, metric, among=among, exact=exact)

    def neighbors(
        self,
        encoder: str | None = None,
        k: int = 10,
        *,
        metric: str = "cosine",
        where: str | None = None,
        text_source: str | None = None,
        variant: str = "full",
    ) -> Neighbours:
        """The k nearest others of every structure, or text, of a space; always exact.

        Parameters and errors are those of `like`; ``queries`` of the result are the ids.
        """
        check_metric(metric)
        check_count(k)
        with self._store.session() as session:
            space = self._space(session, _any_kind(session, encoder, "structure"))
            among = self._content_rows(session, space, where, text_source, variant)
        return space.neighbours(k, metric, among=among)

    def materials_like(
        self,
        material_id: str,
        space: str = "structure",
        among: Among | None = None,
        *,
        encoders: Sequence[str] = (),
        text_source: str | None = None,
        variant: str = "full",
        metric: str = "cosine",
        explain: bool = False,
        exact: bool = False,
    ) -> Hits:
        """The materials nearest to a stored one.

        Parameters
        ----------
        material_id : str
            Which; by default it is not among the hits.
        space : {"structure", "text", "both"}
            What is compared; both are fused by reciprocal rank.
        among : Among, optional
            Which materials are searched, and how many are wanted.
        encoders : sequence of str
            Names or ids, one for each space; default: the only one.
        text_source, variant, metric, explain, exact
            As for `like` and `find`.

        Raises
        ------
        UnknownNameError, InvalidInputError, MissingDataError, QueryError
            If a name is unknown or ambiguous, or the material has no vector there.
        """
        with self._store.session() as session:
            named = encoders_of(session, encoders, kinds_of(space))
            questions = [
                self.of_material(
                    session,
                    material_id,
                    kind,
                    encoder=named.get(kind),
                    text_source=text_source,
                    variant=variant,
                )
                for kind in kinds_of(space)
            ]
            return self.find(
                session,
                questions,
                among or Among(without=material_id),
                metric=metric,
                explain=explain,
                explain_for=structure_of(session, material_id),
                exact=exact,
            )

    def build_index(
        self,
        encoder: str | None = None,
        *,
        kind: str = "IVF_FLAT",
        metric: str = "cosine",
        k: int = 10,
        target: float = RECALL,
        keep_slower: bool = False,
        report: Callable[[str], None] = lambda line: None,
    ) -> VectorIndex:
        """Build an index over an encoder's vectors, as a run on record; see `build_index`."""
        space = self.space(encoder)
        arguments = {"encoder": space.encoder.encoder_id, "type": kind, "metric": metric}
        with self._store.run("search index build", arguments) as run:
            built = build_index(
                space,
                kind=kind,
                metric=metric,
                k=k,
                target=target,
                keep_slower=keep_slower,
                report=report,
            )
            run.counts = {"rows": built.rows}
        return built

    def drop_index(self, encoder: str | None = None) -> tuple[str, bool]:
        """Drop the index over an encoder's vectors; the encoder's id, and whether it had one."""
        space = self.space(encoder)
        encoder_id = space.encoder.encoder_id
        with self._store.run("search index drop", {"encoder": encoder_id}):
            return encoder_id, drop_index(space.dataset, space.table)

    def contents(
        self, session: Session, encoder: str | None, *, text_source: str | None, variant: str
    ) -> tuple[Space, pa.Table | None]:
        """A space and, for texts, which structure_id has which text_id there."""
        space = self._space(session, _any_kind(session, encoder, "structure"))
        if space.encoder.kind == "structure":
            return space, None
        return space, self._links(session, *texts_of(session, text_source, variant))[0]

    def encoder(self, session: Session, kind: str, name: str | None) -> Encoder:
        """The encoder of that name or id, the only one of its kind for None; it has vectors.

        Raises
        ------
        UnknownNameError, InvalidInputError, MissingDataError
            See `choose_encoder` and `open_space`.
        """
        return self._space(session, choose_encoder(session, name, kind)).encoder

    def question(
        self,
        session: Session,
        kind: str,
        *,
        encoder: str | None = None,
        text_source: str | None = None,
        variant: str = "full",
    ) -> Callable[[npt.NDArray[np.float32]], NearVector]:
        """What makes a vector a question in the structure or text space, names resolved.

        Raises
        ------
        UnknownNameError, InvalidInputError, MissingDataError
            If a name is unknown, ambiguous or missing.
        """
        found = choose_encoder(session, encoder, kind)
        if kind == "structure":
            return lambda vector: NearVector(found, vector)
        generator, kept = texts_of(session, text_source, variant)
        return lambda vector: NearVector(found, vector, generator, kept)

    def of_material(
        self,
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
        make = self.question(
            session, kind, encoder=encoder, text_source=text_source, variant=variant
        )
        asked = make(np.empty(0, np.float32))
        space = self._space(session, asked.encoder)
        content_id = structure_of(session, material_id)
        command = f"featurestore ingest embeddings --encoder {asked.encoder.name}"
        if asked.generator is not None:
            source = asked.generator.source
            links, _ = self._links(session, asked.generator, asked.variant)
            mine = links.filter(pc.equal(links["structure_id"], content_id))
            if not mine.num_rows:
                raise MissingDataError(
                    f"material {material_id!r} is not described by {source}; describe it with: "
                    f"featurestore ingest text --source {source}"
                )
            content_id = mine["text_id"][0].as_py()
            command += f" --source {source}"
            command += "" if asked.variant == "full" else f" --variant '{asked.variant}'"
        vector = space.vector_of(content_id)
        if vector is None:
            raise MissingDataError(
                f"material {material_id!r} has no vector of {asked.encoder.encoder_id}; make it "
                f"with: {command}"
            )
        return make(vector)

    def find(
        self,
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
            self._ranking(session, question, candidates, wanted, metric, exact, notes)
            for question in questions
        ]
        if len(rankings) == 1:
            ranking = rankings[0]
        else:
            ranking = _fused([(_name(q), r) for q, r in zip(questions, rankings, strict=True)])
            ranking = ranking.slice(0, among.k)
        if not ranking.num_rows:
            notes.append("no material has what is searched and fulfils the condition")
        table = self._shown(session, ranking, among)
        if explain:
            table = explained(session, self._space, table, questions, metric, explain_for)
        return Hits(table, tuple(notes))

    def _space(self, session: Session, encoder: Encoder) -> Space:
        dataset = session.dataset(embedding_table(encoder.kind, encoder.encoder_id))
        known = self._spaces.get(encoder.encoder_id)
        if known is not None and dataset is not None and known.version == dataset.version:
            return known
        space = open_space(encoder, dataset)
        self._spaces[encoder.encoder_id] = space
        return space

    def _links(
        self, session: Session, generator: Generator, variant: str
    ) -> tuple[pa.Table, tuple[Any, ...]]:
        """structure_id, text_id and text of what a generator wrote, and the key it is kept by."""
        key = (session.versions.get("sentences"), generator.generator_id, variant)
        if key not in self._texts:
            self._texts = {known: v for known, v in self._texts.items() if known[0] == key[0]}
            self._texts[key] = session.query(
                "FROM texts(?, variant := ?) ORDER BY structure_id",
                [generator.generator_id, variant],
            ).combine_chunks()
        return self._texts[key], key

    def _words(self, session: Session, question: HoldsWords) -> tuple[pa.Table, WordIndex]:
        links, key = self._links(session, question.generator, question.variant)
        words = (*key, "words")
        if words not in self._texts:
            self._texts[words] = WordIndex(links["text"].combine_chunks())
        return links, self._texts[words]

    def _content_rows(
        self,
        session: Session,
        space: Space,
        where: str | None,
        text_source: str | None,
        variant: str,
    ) -> Rows | None:
        """Rows of the space for which the condition holds and, for texts, of the source."""
        if space.encoder.kind == "structure":
            if text_source is not None:
                raise InvalidInputError(
                    f"{space.encoder.encoder_id} encodes structures; a text source has no say there"
                )
            if where is None:
                return None
            kept = materials_where(session, where, ["structure_id"])["structure_id"]
            return space.rows_of(kept)
        if where is None and text_source is None:
            return None
        links, _ = self._links(session, *texts_of(session, text_source, variant))
        if where is not None:
            kept = materials_where(session, where, ["structure_id"])["structure_id"]
            links = links.filter(pc.is_in(links["structure_id"], kept.combine_chunks()))
        return space.rows_of(links["text_id"])

    def _ranking(
        self,
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
            return self._by_words(session, question, candidates, wanted, notes)
        space = self._space(session, question.encoder)
        vector = checked_queries(question.vector, question.encoder.dimension, metric)
        linked = candidates.rename_columns(["material_id", "content_id"])
        if question.generator is not None:
            links, _ = self._links(session, question.generator, question.variant)
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
        self,
        session: Session,
        question: HoldsWords,
        candidates: pa.Table,
        wanted: int,
        notes: list[str],
    ) -> pa.Table:
        links, words = self._words(session, question)
        scores, absent = words.scores(question.query)
        if absent:
            named = ", ".join(map(repr, absent))
            notes.append(f"no text of {question.generator.source} holds {named}")
        places = pc.index_in(candidates["structure_id"], links["structure_id"].combine_chunks())
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

    def _shown(self, session: Session, ranking: pa.Table, among: Among) -> pa.Table:
        """The ranking with what people know a material by."""
        columns = ["material_id", *_SHOWN, *named_properties(session, [among.where or ""])]
        ids = ranking["material_id"].to_pylist()
        facts = materials_where(
            session,
            None,
            columns,
            among="SELECT * FROM materials WHERE list_contains(?, material_id)",
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


def kinds_of(space: str) -> tuple[str, ...]:
    """The kinds of vectors of "structure", "text" or "both"."""
    kinds = {"structure": ("structure",), "text": ("text",), "both": ("structure", "text")}
    if space not in kinds:
        raise InvalidInputError(f"the space is one of {', '.join(kinds)}, not {space!r}")
    return kinds[space]


def encoders_of(
    session: Session, names: Sequence[str], kinds: Sequence[str]
) -> dict[str, str | None]:
    """The name given for each kind of encoder, of at most one each.

    Raises
    ------
    UnknownNameError
        If no encoder has a name.
    InvalidInputError
        If an encoder is of another kind, or a kind is named twice.
    """
    found: dict[str, str | None] = {}
    for name in names:
        encoder = _any_kind(session, name, kinds[0])
        if encoder.kind not in kinds:
            raise InvalidInputError(
                f"{name!r} encodes {encoder.kind}s; it has no part in a search of {kinds[0]}s"
            )
        if encoder.kind in found:
            raise InvalidInputError(f"name one {encoder.kind} encoder, not several")
        found[encoder.kind] = encoder.encoder_id
    return found


def texts_of(session: Session, source: str | None, variant: str) -> tuple[Generator, str]:
    """The generator of a text source, the only one for None, and the variant in canonical form.

    Raises
    ------
    UnknownNameError, InvalidInputError, MissingDataError
        If the source or a tag is unknown, or none is named and there is none or several.
    """
    if source is None:
        names = sorted({generator.source for generator in generators(session)})
        if not names:
            raise MissingDataError(
                "the store has no texts; make some with: featurestore ingest text --source SOURCE"
            )
        if len(names) > 1:
            raise InvalidInputError(
                f"there are several text sources, choose one with --text: {', '.join(names)}"
            )
        source = names[0]
    generator = find_generator(session, source)
    return generator, str(parse_variant(variant, generator.tags, generator.reference_tags))


def _any_kind(session: Session, name: str | None, kind: str) -> Encoder:
    """The encoder of a name whatever its kind; for None the only one of the kind."""
    if name is not None:
        found = session.query("SELECT kind FROM encoders WHERE ? IN (encoder_id, name)", [name])
        kind = found["kind"][0].as_py() if found.num_rows else kind
    return choose_encoder(session, name, kind)


def structure_of(session: Session, material_id: str) -> str:
    """The structure_id of a stored material; raises `UnknownNameError` with the nearest ids."""
    found = session.query("SELECT structure_id FROM materials WHERE material_id = ?", [material_id])
    if found.num_rows:
        return str(found["structure_id"][0].as_py())
    near = session.query(
        "SELECT material_id FROM materials ORDER BY levenshtein(material_id, ?), material_id "
        "LIMIT 10",
        [material_id],
    )
    raise UnknownNameError("material", material_id, near["material_id"].to_pylist())


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
