"""Full-text search: which texts hold a query's words, ranked by BM25.

S. Robertson and H. Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", Foundations
and Trends in Information Retrieval 3 (2009) 333, with the inverse document frequency that Lucene
uses. Words count in all their forms (`featurestore.search.stems`); a text is as long as it has
characters. Every stored text is looked at in every search, so that none can be missed: DuckDB finds
the words that begin as one of the query, and only those are compared.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.errors import InvalidInputError
from featurestore.quoting import SQL
from featurestore.search.hits import HoldsWords
from featurestore.search.stems import beginning, stem
from featurestore.session import Session

_K1, _B = 1.2, 0.75
# Signs and spaces part words: "edge-sharing" is two.
_SEPARATOR = r"[^\p{L}\p{N}]"
_SENTENCES = SQL(
    "(SELECT structure_id, lower(sentence) AS text FROM sentences WHERE generator_id = $generator)"
)
_RENDERED = SQL(
    "(SELECT structure_id, lower(text) AS text FROM texts($generator, variant := $variant))"
)


@dataclass(frozen=True, eq=False)
class TextLengths:
    """The described structures and how long their texts are.

    Parameters
    ----------
    ids : pyarrow.StringArray, length n
        structure_id, sorted.
    lengths : ndarray, shape (n,)
        Characters.
    """

    ids: pa.Array
    lengths: npt.NDArray[np.float64]


def text_lengths(session: Session, question: HoldsWords) -> TextLengths:
    """Of all texts that a question is about; they do not depend on its words."""
    relation, given = _texts(question)
    rows = session.query(
        SQL(
            f"SELECT structure_id, sum(length(text)) AS length FROM {relation} "
            "GROUP BY ALL ORDER BY ALL"
        ),
        given,
    )
    lengths = rows["length"].cast(pa.float64()).to_numpy()
    return TextLengths(rows["structure_id"].combine_chunks(), lengths)


def word_scores(
    session: Session, question: HoldsWords, texts: TextLengths
) -> tuple[npt.NDArray[np.float64], list[str]]:
    """The BM25 score of each text, shape (n,), and the words of the query that none holds.

    Raises
    ------
    InvalidInputError
        If the query has no word.
    """
    stems = {word: stem(word) for word in query_words(question.query)}
    found = _occurrences(session, question, set(stems.values()))
    numbers = pc.index_in(found["structure_id"], texts.ids).to_numpy()
    words = found["word"].to_pylist()
    counts = found["n"].to_numpy()
    forms = np.array([stem(word) for word in words], object)
    scores, absent = np.zeros(len(texts.ids)), []
    for one in dict.fromkeys(stems.values()):
        mine = forms == one
        if not mine.any():
            absent += [word for word, form in stems.items() if form == one]
            continue
        # A text may hold several forms.
        in_each = np.bincount(numbers[mine], counts[mine], len(texts.ids)).astype(np.float64)
        scores += bm25(in_each, texts.lengths)
    return scores, absent


def bm25(
    counts: npt.NDArray[np.float64], lengths: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """The part of one word in the score of each of n texts, with k1 = 1.2 and b = 0.75.

    Parameters
    ----------
    counts : ndarray, shape (n,)
        How often each text holds the word.
    lengths : ndarray, shape (n,)
        How long each text is.
    """
    holding = np.count_nonzero(counts)
    rarity = np.log1p((len(counts) - holding + 0.5) / (holding + 0.5))
    dampening = _K1 * (1 - _B + _B * lengths / max(float(lengths.mean()), 1.0))
    return np.asarray(rarity * (_K1 + 1) * counts / (counts + dampening))


def query_words(query: str) -> list[str]:
    """The distinct words of a query, in their order.

    Raises
    ------
    InvalidInputError
        If there is none.
    """
    found = words_in(query)
    if not found:
        raise InvalidInputError(f"{query!r} holds no word to search for")
    return found


def words_in(text: str) -> list[str]:
    """The distinct words of a text in lower case, in their order."""
    lower = pc.utf8_lower(pa.array([text], pa.string()))
    split = pc.split_pattern_regex(lower, f"{_SEPARATOR}+").flatten().to_pylist()
    return list(dict.fromkeys(word for word in split if word))


def _texts(question: HoldsWords) -> tuple[SQL, Mapping[str, str]]:
    """A relation of structure_id and text, several rows a structure at need, and its parameters."""
    generator = question.generator.generator_id
    if question.variant == "full":
        # Sentences are joined by blanks: no word reaches from one into the next.
        return _SENTENCES, {"generator": generator}
    return _RENDERED, {"generator": generator, "variant": question.variant}


def _occurrences(session: Session, question: HoldsWords, stems: set[str]) -> pa.Table:
    """structure_id, word and n of every word that may be of a stem, and of some that are not."""
    relation, given = _texts(question)
    beginnings = "|".join(sorted({re.escape(beginning(one)) for one in stems}))
    pattern = rf"(?:^|{_SEPARATOR})((?:{beginnings})[\p{{L}}\p{{N}}]*)"
    return session.query(
        SQL(
            "SELECT structure_id, word, count(*) AS n FROM (SELECT structure_id, "
            f"unnest(regexp_extract_all(text, $pattern, 1)) AS word FROM {relation}) GROUP BY ALL"
        ),
        {**given, "pattern": pattern},
    )
