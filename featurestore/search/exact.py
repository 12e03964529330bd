"""Exact nearest neighbours, as fast as the processor's matrix product.

Queries and vectors are multiplied in blocks whose scores stay in the processor's cache, in float32.
A block's scores are compared with the lowest score that can still matter, one vectorised pass that
nearly all fail; what passes is sorted now and then, and raises that bar. The bar lies lower than
the k-th best by the error that float32 products can have; candidates above it are measured again
in float64, which alone decides. So the result does not depend on how the product was blocked, and
equal distances come in the order of the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from featurestore.search.blas import single_threaded_products
from featurestore.search.metrics import check_count, check_metric, checked_queries

Rows = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Product = Callable[[Vectors, Vectors, Vectors], Any]

# So few queries read all vectors from memory in one go, on all cores.
_QUERIES_AT_ONCE = 16
_VALUES_TO_SHARE = 2**20
_QUERIES_A_BLOCK = 1024
_SCORES_A_BLOCK = 2**21  # 8 MB of float32
_ROWS_A_BLOCK = 2**16
_GROUPS = 64
# Copies of so many vectors stay in a core's own cache.
_CANDIDATES_A_READ = 256
# Rows may be gathered where fewer than this share of them is searched; else all are multiplied.
_GATHERED_SHARE = 0.3
# Products of float32 vectors err by about sqrt(width) roundings: N. Higham and T. Mary, "A new
# approach to probabilistic rounding error analysis", SIAM J. Sci. Comput. 41 (2019) A2815; at
# lambda = 4 a larger error has a probability below 1e-3 of theirs, which are far from sharp.
_LAMBDA = 4.0
# Below this the cosine is worked out from the difference of the directions.
_CLOSE = 1e-6
# More candidates than this for each neighbour wanted are measured at once, to keep few.
_CANDIDATES_KEPT = 64


@dataclass(frozen=True, eq=False)
class Nearest:
    """The nearest rows of each query, nearest first.

    Parameters
    ----------
    rows : ndarray, shape (n_queries, k), int64
        Row numbers; -1 where fewer than k rows could be found.
    distances : ndarray, shape (n_queries, k), float64
        Their distances; NaN where there is no row.
    """

    rows: Rows
    distances: Doubles


class ExactSearch:
    """Nearest neighbours among the rows of one array, which is not copied.

    Parameters
    ----------
    vectors : ndarray, shape (n, width), float32
        The rows, finite; for the cosine a row that is zero throughout has distance 1 to all.
    """

    def __init__(self, vectors: Vectors) -> None:
        self.vectors = vectors
        self._squares = _squares(vectors)
        self._half_squares = (self._squares / 2).astype(np.float32)
        norms = np.sqrt(self._squares)
        # A row that is zero throughout has product 0 with everything, whatever it is divided by.
        self._norms = np.where(norms > 0, norms, 1.0)
        self._scales = (1 / self._norms).astype(np.float32)
        self._longest = float(norms.max(initial=0.0))

    def __len__(self) -> int:
        return int(self.vectors.shape[0])

    def not_finite(self) -> Rows:
        """The rows that hold NaN or infinity; searching among them has no meaning."""
        return np.flatnonzero(~np.isfinite(self._squares))

    def nearest(
        self,
        queries: Any,
        k: int,
        metric: str = "cosine",
        *,
        among: Rows | None = None,
        without: Rows | None = None,
    ) -> Nearest:
        """The k nearest rows of each query; all there are where there are fewer.

        Parameters
        ----------
        queries : array-like, shape (n_queries, width) or (width,)
            Finite numbers.
        k : int
            Neighbours of each query, from 1.
        metric : {"cosine", "l2", "dot"}
            Which distance.
        among : ndarray of int64, ascending
            Row numbers to search; None: all.
        without : ndarray of int64, shape (n_queries,)
            A row for each query that is not to be among its neighbours.

        Raises
        ------
        InvalidInputError
            For another metric or k, and for queries that `checked_queries` refuses.
        """
        check_metric(metric)
        check_count(k)
        checked = checked_queries(queries, self.vectors.shape[1], metric)
        n = len(self) if among is None else len(among)
        k = min(k, n)
        found = Nearest(
            np.full((len(checked), k), -1, np.int64), np.full((len(checked), k), np.nan)
        )
        if not k or not len(checked):
            return found

        def one(start: int, product: Product | None = None) -> None:
            chosen = slice(start, start + size)
            left_out = None if without is None else without[chosen]
            block = _Block(self, checked[chosen], k, metric, among, left_out, product)
            found.rows[chosen], found.distances[chosen] = block.nearest()

        # Each core works on queries of its own, products and sorting alike, and waits for no other;
        # few queries share the rows out instead.
        with single_threaded_products() as threads, ThreadPoolExecutor(threads) as pool:
            if len(checked) <= _QUERIES_AT_ONCE:
                size = len(checked)
                one(0, None if threads == 1 else partial(_shared_product, pool, threads))
            else:
                size = min(_QUERIES_A_BLOCK, -(-len(checked) // threads))
                list(pool.map(one, range(0, len(checked), size)))
        return found

    def distances(self, queries: Vectors, which: Rows, rows: Rows, metric: str) -> Doubles:
        """Distances of pairs in float64: of ``queries[which[i]]`` and row ``rows[i]``."""
        found = np.empty(len(rows))
        wide = queries.astype(np.float64)
        lengths = np.sqrt(np.einsum("nd,nd->n", wide, wide))
        for first in range(0, len(rows), _CANDIDATES_A_READ):
            part = slice(first, first + _CANDIDATES_A_READ)
            x = self.vectors[rows[part]].astype(np.float64)
            q = wide[which[part]]
            if metric == "l2":
                x -= q
                found[part] = np.sqrt(np.einsum("nd,nd->n", x, x))
                continue
            products = np.einsum("nd,nd->n", x, q)
            if metric == "dot":
                found[part] = -products
                continue
            norms, length = self._norms[rows[part]], lengths[which[part]]
            apart = 1 - products / (norms * length)
            # 1 - cos would lose the digits of a small angle.
            close = np.flatnonzero(apart < _CLOSE)
            u = x[close] / norms[close, None] - q[close] / length[close, None]
            apart[close] = np.einsum("nd,nd->n", u, u) / 2
            found[part] = apart
        return found


class _Block:
    """The search for a block of queries: candidates so far, and the bar for further ones."""

    def __init__(
        self,
        search: ExactSearch,
        queries: Vectors,
        k: int,
        metric: str,
        among: Rows | None,
        without: Rows | None,
        product: Product | None,
    ) -> None:
        self._product = product or np.matmul
        self._search, self._queries, self._k, self._metric = search, queries, k, metric
        n = len(search)
        self._gathered = among if among is not None and len(among) < _GATHERED_SHARE * n else None
        self._masked = None
        if among is not None and self._gathered is None:
            self._masked = np.ones(n, bool)
            self._masked[among] = False
        self._without = without
        norms = np.sqrt(np.einsum("nd,nd->n", queries, queries, dtype=np.float64))
        self._factor = queries
        if metric == "cosine":
            self._factor = (queries / norms[:, None]).astype(np.float32)
            largest = np.ones(len(queries))
        elif metric == "dot":
            largest = norms * search._longest
        else:
            largest = norms * search._longest + search._longest**2
        rounding = _LAMBDA * np.sqrt(queries.shape[1]) * 2.0**-24
        self._error = 2 * rounding * largest
        self._bar = np.full(len(queries), -np.inf, np.float32)
        self._which = np.empty(0, np.int64)
        self._rows = np.empty(0, np.int64)
        self._scores = np.empty(0, np.float32)

    def nearest(self) -> tuple[Rows, Doubles]:
        m, next_sort = len(self._queries), 1
        for number, (first, scores) in enumerate(self._blocks(), start=1):
            if number == 1:
                self._first_bar(scores)
            passed = np.flatnonzero(scores >= self._bar[:, None])
            which, columns = np.divmod(passed, scores.shape[1])
            rows = columns + first
            if self._gathered is not None:
                rows = self._gathered[rows]
            self._which = np.concatenate([self._which, which])
            self._rows = np.concatenate([self._rows, rows])
            self._scores = np.concatenate([self._scores, scores.ravel()[passed]])
            if number == next_sort or len(self._rows) > _CANDIDATES_KEPT * self._k * m:
                # The bar matters less and less: what passes it between doublings is few.
                next_sort = max(next_sort, number * 2)
                self._raise_bar()
        return self._best()

    def _blocks(self) -> Iterator[tuple[int, Vectors]]:
        """First row number, or place in ``gathered``, and scores; larger is nearer."""
        search, m = self._search, len(self._queries)
        rows = self._gathered
        n = len(search) if rows is None else len(rows)
        size = min(n, max(_GROUPS, _SCORES_A_BLOCK // m))
        if rows is not None:
            size = min(size, _ROWS_A_BLOCK)
        space = np.empty((m, size), np.float32)
        for first in range(0, n, size):
            part: Any = slice(first, min(first + size, n))
            wide = part.stop - first
            scores = space[:, :wide] if wide == size else np.empty((m, wide), np.float32)
            if rows is not None:
                part = rows[part]
            self._product(self._factor, search.vectors[part].T, scores)
            if self._metric == "cosine":
                scores *= search._scales[part]
            elif self._metric == "l2":
                scores -= search._half_squares[part]
            if self._masked is not None:
                scores[:, self._masked[part]] = -np.inf
            if self._without is not None:
                self._leave_out(scores, first)
            yield first, scores

    def _leave_out(self, scores: Vectors, first: int) -> None:
        assert self._without is not None
        places = self._without
        if self._gathered is not None:
            places = np.searchsorted(self._gathered, self._without)
            inside = places < len(self._gathered)
            inside[inside] = self._gathered[places[inside]] == self._without[inside]
            places = np.where(inside, places, -1)
        columns = places - first
        hit = np.flatnonzero((columns >= 0) & (columns < scores.shape[1]))
        scores[hit, columns[hit]] = -np.inf

    def _first_bar(self, scores: Vectors) -> None:
        """A bar that at least k scores reach: the k-th best among the best of each group."""
        groups = max(_GROUPS, 4 * self._k)
        size = scores.shape[1] // groups
        if size < 2:
            self._bar[:] = np.finfo(np.float32).min
            return
        grouped = scores[:, : groups * size].reshape(len(scores), groups, size).max(axis=2)
        kth = np.partition(grouped, groups - self._k, axis=1)[:, groups - self._k]
        # What is masked is minus infinity and must not pass.
        self._set_bar(np.arange(len(scores)), np.maximum(kth, np.finfo(np.float32).min))

    def _set_bar(self, which: Rows, kth: Vectors) -> None:
        bar = (kth - self._error[which]).astype(np.float32)
        lowest = np.finfo(np.float32).min
        self._bar[which] = np.maximum(np.nextafter(bar, np.float32(-np.inf)), lowest)

    def _raise_bar(self) -> None:
        order = np.lexsort((-self._scores, self._which))
        self._keep(order)
        starts, counts = self._runs()
        enough = np.flatnonzero(counts >= self._k)
        kth = self._scores[starts[enough] + self._k - 1]
        self._set_bar(enough, kth)
        self._keep(np.flatnonzero(self._scores >= self._bar[self._which]))
        if len(self._rows) > _CANDIDATES_KEPT * self._k * len(self._queries) // 2:
            self._measure()

    def _measure(self) -> Doubles:
        """Keep the k nearest of each query by distances in float64, in order; their distances."""
        found = self._search.distances(self._queries, self._which, self._rows, self._metric)
        order = np.lexsort((self._rows, found, self._which))
        self._keep(order)
        starts, counts = self._runs()
        rank = np.arange(len(self._rows)) - np.repeat(starts, counts)
        first = np.flatnonzero(rank < self._k)
        self._keep(first)
        return np.asarray(found[order][first])

    def _best(self) -> tuple[Rows, Doubles]:
        self._raise_bar()
        found = self._measure()
        rows = np.full((len(self._queries), self._k), -1, np.int64)
        distances = np.full(rows.shape, np.nan)
        starts, counts = self._runs()
        rank = np.arange(len(self._rows)) - np.repeat(starts, counts)
        rows[self._which, rank] = self._rows
        distances[self._which, rank] = found
        return rows, distances

    def _runs(self) -> tuple[Rows, Rows]:
        """Where each query's candidates begin, and how many they are; they are sorted by query."""
        counts = np.bincount(self._which, minlength=len(self._queries))
        return np.cumsum(counts) - counts, counts

    def _keep(self, chosen: Rows) -> None:
        self._which = self._which[chosen]
        self._rows, self._scores = self._rows[chosen], self._scores[chosen]


def _shared_product(
    pool: ThreadPoolExecutor, threads: int, queries: Vectors, rows: Vectors, out: Vectors
) -> None:
    """``queries @ rows`` into ``out``, the columns shared out among threads if they are many."""
    n = rows.shape[1]
    if rows.size < _VALUES_TO_SHARE:
        np.matmul(queries, rows, out)
        return
    edges = np.linspace(0, n, threads + 1).astype(int)
    parts = [slice(first, last) for first, last in pairwise(edges)]
    list(pool.map(lambda part: np.matmul(queries, rows[:, part], out[:, part]), parts))


def _squares(vectors: Vectors) -> Doubles:
    """The squared length of each row, in float64; NaN or infinite where a value is."""
    found = np.empty(len(vectors))
    for first in range(0, len(vectors), _CANDIDATES_A_READ):
        part = vectors[first : first + _CANDIDATES_A_READ].astype(np.float64)
        found[first : first + len(part)] = np.einsum("nd,nd->n", part, part)
    return found
