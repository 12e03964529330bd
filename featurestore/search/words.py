"""Full-text search: which texts hold a query's words, ranked by BM25.

S. Robertson and H. Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", Foundations
and Trends in Information Retrieval 3 (2009) 333, with the inverse document frequency that Lucene
uses. Every text is looked at when the index is made, in memory, so that none can be missing from
it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.errors import InvalidInputError

_K1, _B = 1.2, 0.75
# Signs and spaces part words: "edge-sharing" is two.
_SEPARATORS = r"[^\p{L}\p{N}]+"


class WordIndex:
    """Which words are in which of n texts.

    Parameters
    ----------
    texts : pyarrow.StringArray, length n
        The texts.
    """

    def __init__(self, texts: pa.Array) -> None:
        words = _words(texts)
        lengths = pc.list_value_length(words).to_numpy(zero_copy_only=False).astype(np.int64)
        encoded = words.flatten().dictionary_encode()
        document = np.repeat(np.arange(len(texts)), lengths)
        word = encoded.indices.to_numpy().astype(np.int64)
        filled = np.asarray(pc.not_equal(encoded.dictionary, "").to_numpy(zero_copy_only=False))
        document, word = document[filled[word]], word[filled[word]]
        lengths = np.bincount(document, minlength=len(texts))
        pairs, counts = np.unique(word * len(texts) + document, return_counts=True)
        self._word, self._document = np.divmod(pairs, max(len(texts), 1))
        self._counts = counts
        self._dictionary = encoded.dictionary
        self._n = len(texts)
        mean = max(float(lengths.mean()) if len(texts) else 0.0, 1.0)
        self._dampening = _K1 * (1 - _B + _B * lengths / mean)

    def scores(self, query: str) -> tuple[npt.NDArray[np.float64], list[str]]:
        """The BM25 score of each text, shape (n,), and the words of the query that none holds.

        Raises
        ------
        InvalidInputError
            If the query has no word.
        """
        scores, absent = np.zeros(self._n), []
        for word in query_words(query):
            number = pc.index(self._dictionary, word).as_py() if len(self._dictionary) else -1
            if number < 0:
                absent.append(word)
                continue
            start, stop = np.searchsorted(self._word, [number, number + 1])
            documents, counts = self._document[start:stop], self._counts[start:stop]
            rarity = np.log1p((self._n - len(documents) + 0.5) / (len(documents) + 0.5))
            dampened = counts / (counts + self._dampening[documents])
            scores[documents] += rarity * (_K1 + 1) * dampened
        return scores, absent


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
    split = _words(pa.array([text], pa.string())).flatten().to_pylist()
    return list(dict.fromkeys(word for word in split if word))


def _words(texts: pa.Array) -> pa.Array:
    return pc.split_pattern_regex(pc.utf8_lower(texts), _SEPARATORS)
