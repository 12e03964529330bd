"""What searches read of a store, kept in memory while the tables do not change."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.catalogue import Encoder, Generator
from featurestore.errors import InvalidInputError
from featurestore.query.conditions import materials_where
from featurestore.search.exact import Rows
from featurestore.search.hits import HoldsWords
from featurestore.search.questions import texts_of
from featurestore.search.spaces import Space, open_space
from featurestore.search.words import TextLengths, text_lengths
from featurestore.session import Session
from featurestore.tables.schemas import embedding_table


class SearchCache:
    """The vectors, texts and lengths of texts that the searches of one store have read."""

    def __init__(self) -> None:
        self._spaces: dict[str, Space] = {}
        self._texts: dict[tuple[Any, ...], Any] = {}

    def space(self, session: Session, encoder: Encoder) -> Space:
        """The vectors of an encoder; raises `MissingDataError` if it has none."""
        dataset = session.dataset(embedding_table(encoder.kind, encoder.encoder_id))
        known = self._spaces.get(encoder.encoder_id)
        if known is not None and dataset is not None and known.version == dataset.version:
            return known
        space = open_space(session, encoder, dataset)
        self._spaces[encoder.encoder_id] = space
        return space

    def links(
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

    def lengths(self, session: Session, question: HoldsWords) -> TextLengths:
        """Which texts a question is about, and how long they are."""
        version = session.versions.get("sentences")
        key = (version, question.generator.generator_id, question.variant, "lengths")
        if key not in self._texts:
            self._texts = {known: v for known, v in self._texts.items() if known[0] == version}
            self._texts[key] = text_lengths(session, question)
        lengths: TextLengths = self._texts[key]
        return lengths

    def content_rows(
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
        links, _ = self.links(session, *texts_of(session, text_source, variant))
        if where is not None:
            kept = materials_where(session, where, ["structure_id"])["structure_id"]
            links = links.filter(pc.is_in(links["structure_id"], kept.combine_chunks()))
        return space.rows_of(links["text_id"])
