"""A space: all vectors of one encoder, read once into memory, in the order of their ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.catalogue import Encoder
from featurestore.errors import InvalidRowsError, MissingDataError
from featurestore.quoting import column, quoted
from featurestore.search.exact import ExactSearch, Nearest, Rows
from featurestore.search.metrics import check_count, check_metric, checked_queries
from featurestore.search.vector_index import VectorIndex, stored_index
from featurestore.tables.schemas import embedding_table
from featurestore.tables.storage import storage_errors

_ROWS_A_READ = 8192
# An index may leave out some of what a filter keeps; where so few rows are left, none is asked.
_ROWS_WITHOUT_INDEX = 20_000
_LOWEST_SHARE = 0.02
_OVERSAMPLING = 1.5
# From so many queries on, multiplying with everything costs less than asking the index for each.
_QUERIES_FOR_INDEX = 16


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest vectors of each query, nearest first.

    Parameters
    ----------
    ids : pyarrow.StringArray, length n
        The structure_id or text_id of every row of the space.
    rows : ndarray, shape (n_queries, k), int64
        Places in ``ids``; -1 where fewer than k exist.
    distances : ndarray, shape (n_queries, k), float64
        1 - cos, the Euclidean distance, or minus the product; NaN where there is no row.
    queries : pyarrow.StringArray or None
        Ids of the queries, where they are rows of the space themselves.
    """

    ids: pa.Array
    rows: Rows
    distances: npt.NDArray[np.float64]
    queries: pa.Array | None = None

    @cached_property
    def table(self) -> pa.Table:
        """Columns query (an id, or the number of the vector), rank from 1, id, distance."""
        n, k = self.rows.shape
        there = (self.rows >= 0).ravel()
        number = np.repeat(np.arange(n), k)[there]
        named = pa.array(number) if self.queries is None else self.queries.take(pa.array(number))
        return pa.table(
            {
                "query": named,
                "rank": pa.array(np.tile(np.arange(1, k + 1), n)[there]),
                "id": self.ids.take(pa.array(self.rows.ravel()[there])),
                "distance": pa.array(self.distances.ravel()[there]),
            }
        )


class Space:
    """The vectors of one encoder at one version of their table.

    Attributes
    ----------
    encoder : Encoder
        Whose they are.
    dataset : lance.LanceDataset
        The table.
    version : int
        Its version.
    index : VectorIndex or None
        Its search index, if one was built and measured.
    """

    def __init__(self, encoder: Encoder, dataset: Any) -> None:
        self.encoder = encoder
        self.dataset = dataset
        # Lance's object moves on to the version that it commits, as when an index is built.
        self.version = int(dataset.version)
        self.index: VectorIndex | None = stored_index(dataset, encoder.encoder_id)
        self.key = f"{encoder.kind}_id"
        self.table = embedding_table(encoder.kind, encoder.encoder_id)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def _stored(self) -> tuple[pa.Array, Rows]:
        """The ids in ascending order, and where in the table each row is."""
        with storage_errors(f"read table {self.table!r}"):
            ids = self.dataset.to_table(columns=[self.key])[self.key].combine_chunks()
        order = pc.sort_indices(ids)
        return ids.take(order), order.to_numpy().astype(np.int64)

    @property
    def ids(self) -> pa.Array:
        """The structure_id or text_id of each row, ascending."""
        return self._stored[0]

    @cached_property
    def exact(self) -> ExactSearch:
        """The vectors in memory; read at the first use.

        Raises
        ------
        InvalidRowsError
            If one holds NaN or infinity.
        """
        order = self._stored[1]
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        vectors = np.empty((len(order), self.encoder.dimension), np.float32)
        first = 0
        with storage_errors(f"read table {self.table!r}"):
            for batch in self.dataset.to_batches(columns=["vector"], batch_size=_ROWS_A_READ):
                part = _as_array(batch["vector"], self.encoder.dimension)
                vectors[place[first : first + len(part)]] = part
                first += len(part)
        search = ExactSearch(vectors)
        bad = search.not_finite()
        if bad.size:
            raise InvalidRowsError(
                f"table {self.table!r} holds vectors with NaN or infinity, for example of "
                f"{self.ids[int(bad[0])].as_py()}; featurestore verify --mend removes them"
            )
        return search

    @property
    def in_memory(self) -> bool:
        """Whether the vectors have been read."""
        return "exact" in self.__dict__

    def rows_of(self, ids: pa.Array | pa.ChunkedArray) -> Rows:
        """Rows of those of the ids that have a vector, ascending, each once."""
        if isinstance(ids, pa.ChunkedArray):
            ids = ids.combine_chunks()
        found = pc.is_in(self.ids, value_set=ids)
        return np.flatnonzero(found.to_numpy(zero_copy_only=False))

    def vectors_of(self, ids: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors in the order of the ids, each of which is in the space: (n, width), float32."""
        places = pc.index_in(pa.array(ids, pa.string()), value_set=self.ids).to_numpy()
        return self._vectors(places)

    def vector_of(self, content_id: str) -> npt.NDArray[np.float32] | None:
        """The vector of one id, shape (width,), float32; None if it has none."""
        with storage_errors(f"read table {self.table!r}"):
            found = self.dataset.to_table(
                columns=["vector"], filter=f"{column(self.key)} = {quoted(content_id)}"
            )
        if not found.num_rows:
            return None
        vectors = _as_array(found["vector"].combine_chunks(), self.encoder.dimension)
        return np.asarray(vectors[0])

    def nearest(
        self,
        vectors: Any,
        k: int = 10,
        metric: str = "cosine",
        *,
        among: Rows | None = None,
        exact: bool = False,
    ) -> Neighbours:
        """The k nearest rows of each query.

        A few queries go to the search index, where there is one for the metric; many at a time, and
        those among few rows, are searched exactly.

        Parameters
        ----------
        vectors : array-like, shape (n_queries, width) or (width,)
            The queries.
        k : int
            Neighbours of each.
        metric : {"cosine", "l2", "dot"}
            Which distance.
        among : ndarray of int64, ascending
            Row numbers to search; None: all. All of them are found where k is larger.
        exact : bool
            Not to use the index.

        Raises
        ------
        InvalidInputError
            For another metric or k, and for vectors of another width, with NaN or infinity, or
            without direction.
        """
        check_metric(metric)
        check_count(k)
        queries = checked_queries(vectors, self.encoder.dimension, metric)
        if not exact and self.index is not None and self.index.metric == metric:
            found = self._by_index(self.index, queries, k, among)
            if found is not None:
                return found
        if among is not None and not self.in_memory and len(among) <= _ROWS_WITHOUT_INDEX:
            few = ExactSearch(self._vectors(among)).nearest(queries, k, metric)
            rows = np.where(few.rows >= 0, among[few.rows], -1) if len(among) else few.rows
            return Neighbours(self.ids, rows, few.distances)
        whole = self.exact.nearest(queries, k, metric, among=among)
        return Neighbours(self.ids, whole.rows, whole.distances)

    def neighbours(
        self, k: int = 10, metric: str = "cosine", *, among: Rows | None = None
    ) -> Neighbours:
        """The k nearest others of every row, or of and among the given rows; always exact."""
        rows = np.arange(len(self)) if among is None else among
        found: Nearest = self.exact.nearest(
            self.exact.vectors if among is None else self.exact.vectors[rows],
            k,
            metric,
            among=among,
            without=rows,
        )
        return Neighbours(self.ids, found.rows, found.distances, self.ids.take(pa.array(rows)))

    def _by_index(
        self, index: VectorIndex, queries: npt.NDArray[np.float32], k: int, among: Rows | None
    ) -> Neighbours | None:
        """What the index finds; None where exact search is the better or only way."""
        if len(queries) > _QUERIES_FOR_INDEX:
            return None
        share = 1.0 if among is None else len(among) / max(len(self), 1)
        kept = len(self) if among is None else len(among)
        if share < _LOWEST_SHARE or (among is not None and kept <= _ROWS_WITHOUT_INDEX):
            return None
        wanted = min(k, kept)
        asked = wanted if among is None else int(_OVERSAMPLING * wanted / share) + 10
        allowed = None
        if among is not None:
            allowed = np.zeros(len(self), bool)
            allowed[among] = True
        rows = np.full((len(queries), wanted), -1, np.int64)
        distances = np.full(rows.shape, np.nan)
        for number, query in enumerate(queries):
            ids, vectors = index.candidates(self.dataset, self.key, query, asked, share)
            places = pc.index_in(ids, value_set=self.ids).to_numpy()
            if allowed is not None:
                keep = allowed[places]
                places, vectors = places[keep], vectors[keep]
            if len(places) < wanted:
                return None
            order = np.argsort(places)
            few = ExactSearch(vectors[order]).nearest(query, wanted, index.metric)
            rows[number] = places[order][few.rows[0]]
            distances[number] = few.distances[0]
        return Neighbours(self.ids, rows, distances)

    def _vectors(self, rows: Rows) -> npt.NDArray[np.float32]:
        """Vectors of rows, in their order, from memory or from the table."""
        if self.in_memory:
            return self.exact.vectors[rows]
        found = np.empty((len(rows), self.encoder.dimension), np.float32)
        offsets = self._stored[1][rows]
        with storage_errors(f"read table {self.table!r}"):
            for first in range(0, len(offsets), _ROWS_A_READ):
                part = self.dataset.take(offsets[first : first + _ROWS_A_READ], columns=["vector"])
                column = part["vector"].combine_chunks()
                found[first : first + len(part)] = _as_array(column, self.encoder.dimension)
        return found


def open_space(encoder: Encoder, dataset: Any | None) -> Space:
    """The space of an encoder's table.

    Raises
    ------
    MissingDataError
        If the encoder has encoded nothing yet.
    """
    if dataset is None or not dataset.count_rows():
        source = "" if encoder.kind == "structure" else " --source SOURCE"
        raise MissingDataError(
            f"encoder {encoder.encoder_id} has no vectors in this store; make some with: "
            f"featurestore ingest embeddings --encoder {encoder.name}{source}"
        )
    return Space(encoder, dataset)


def _as_array(column: Any, width: int) -> npt.NDArray[np.float32]:
    values = column.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(values, np.float32).reshape(-1, width)
