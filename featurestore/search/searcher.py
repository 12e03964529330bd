"""Searches of one store; what they read stays in memory while the tables do not change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import pyarrow as pa

from featurestore.catalogue import Encoder, choose_encoder, structure_of
from featurestore.errors import InvalidInputError, MissingContentError
from featurestore.search.cache import SearchCache
from featurestore.search.hits import Among, Hits
from featurestore.search.indexing import RECALL, build_index, drop_index
from featurestore.search.metrics import check_count, check_metric
from featurestore.search.questions import (
    Question,
    across,
    any_kind,
    encoders_of,
    kinds_of,
    texts_of,
)
from featurestore.search.ranking import find, of_material
from featurestore.search.spaces import Neighbours, Space
from featurestore.search.vector_index import VectorIndex
from featurestore.session import Session
from featurestore.tables.runs import Run


class Search:
    """Similarity search in a store: ``store.search``.

    Vectors are read once and kept until their table changes.

    Parameters
    ----------
    session : callable
        Opens a session over the store's present version: `FeatureStore.session`.
    run : callable
        Records a command with its arguments: `FeatureStore.run`.
    """

    def __init__(
        self,
        session: Callable[[], AbstractContextManager[Session]],
        run: Callable[[str, dict[str, Any]], AbstractContextManager[Run]],
    ) -> None:
        self._session = session
        self._run = run
        self._cache = SearchCache()

    def space(self, encoder: str | None = None, kind: str = "structure") -> Space:
        """The vectors of an encoder, by name or id; None: the only one of the kind.

        Raises
        ------
        UnknownNameError, InvalidInputError, MissingDataError
            If there is none, or there are several; see `choose_encoder`.
        """
        with self._session() as session:
            return self._cache.space(session, any_kind(session, encoder, kind))

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
        with self._session() as session:
            space = self._cache.space(session, any_kind(session, encoder, "structure"))
            among = self._cache.content_rows(session, space, where, text_source, variant)
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
        with self._session() as session:
            space = self._cache.space(session, any_kind(session, encoder, "structure"))
            among = self._cache.content_rows(session, space, where, text_source, variant)
        return space.neighbours(k, metric, among=among)

    def materials_like(
        self,
        material_id: str,
        space: str = "structure",
        among: Among | None = None,
        *,
        find_in: str | None = None,
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
        find_in : {"structure", "text"}, optional
            What the material's vector is compared with, where that is not its own kind: by an
            encoder of a joint space.
        encoders : sequence of str
            Names or ids, one for each space; default: the only one.
        text_source, variant, metric, explain, exact
            As for `like` and `find`.

        Raises
        ------
        UnknownNameError, InvalidInputError, MissingDataError, QueryError
            If a name is unknown or ambiguous, or the material has no vector there.
        """
        if find_in is not None and len(kinds_of(space)) > 1:
            raise InvalidInputError(
                "what is found is of one kind: name the space 'structure' or 'text', not 'both'"
            )
        with self._session() as session:
            named = encoders_of(session, encoders, kinds_of(space))
            questions: list[Question] = []
            missing: list[MissingContentError] = []
            for kind in kinds_of(space):
                try:
                    question = of_material(
                        self._cache,
                        session,
                        material_id,
                        kind,
                        encoder=named.get(kind),
                        text_source=text_source,
                        variant=variant,
                    )
                    if find_in not in (None, kind):
                        question = across(session, question, find_in, text_source, variant)
                    questions.append(question)
                except MissingContentError as error:
                    missing.append(error)
            if missing:
                raise MissingContentError(
                    "; ".join(error.message for error in missing),
                    [command for error in missing for command in error.commands],
                )
            return find(
                self._cache,
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
        with self._run("search index build", arguments) as run:
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
        with self._run("search index drop", {"encoder": encoder_id}):
            return encoder_id, drop_index(space.dataset, space.table)

    def contents(
        self, session: Session, encoder: str | None, *, text_source: str | None, variant: str
    ) -> tuple[Space, pa.Table | None]:
        """A space and, for texts, which structure_id has which text_id there."""
        space = self._cache.space(session, any_kind(session, encoder, "structure"))
        if space.encoder.kind == "structure":
            return space, None
        return space, self._cache.links(session, *texts_of(session, text_source, variant))[0]

    def encoder(self, session: Session, kind: str, name: str | None) -> Encoder:
        """The encoder of that name or id, the only one of its kind for None; it has vectors.

        Raises
        ------
        UnknownNameError, InvalidInputError, MissingDataError
            See `choose_encoder` and `open_space`.
        """
        return self._cache.space(session, choose_encoder(session, name, kind)).encoder

    def find(
        self, session: Session, questions: Sequence[Question], among: Among, **choices: Any
    ) -> Hits:
        """Materials that answer one question, or several fused by reciprocal rank.

        Parameters, choices and errors are those of `ranking.find`.
        """
        return find(self._cache, session, questions, among, **choices)
