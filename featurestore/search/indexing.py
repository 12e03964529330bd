"""Builds a search index whose settings reach a recall measured against exact search."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.search.exact import ExactSearch, Vectors
from featurestore.search.metrics import check_count, check_metric
from featurestore.search.spaces import Space
from featurestore.search.vector_index import KEY, NAME, VectorIndex, ask, has_index
from featurestore.tables.storage import storage_errors

KINDS = ("IVF_FLAT", "IVF_HNSW_SQ", "IVF_PQ")
RECALL = 0.99
_QUERIES = 200
# Lance trains clusters on 256 rows each.
_FEWEST_ROWS = 256
_HINT = "The table's rows are as they were; run the command again"


class NoGainError(MissingDataError):
    """An index was built and is not kept: too little found, or exact search is faster."""


def build_index(
    space: Space,
    *,
    kind: str = "IVF_FLAT",
    metric: str = "cosine",
    k: int = 10,
    target: float = RECALL,
    keep_slower: bool = False,
    seed: int = 0,
    report: Callable[[str], None] = lambda line: None,
) -> VectorIndex:
    """Build an index over a space and choose the fastest settings that reach the recall wanted.

    Recall is the mean share of a query's true k nearest that is found. The queries are held out:
    each is the mean of a random row and one of its ten nearest, so none is a row of the table.

    Parameters
    ----------
    space : Space
        The newest version of an encoder's vectors.
    kind : {"IVF_FLAT", "IVF_HNSW_SQ", "IVF_PQ"}
        Lance's kind of index.
    metric : {"cosine", "l2", "dot"}
        The distance it answers.
    k : int
        Neighbours for which recall is measured.
    target : float
        Recall wanted, above 0 and at most 1.
    keep_slower : bool
        Keep it, too, where exact search in memory is faster.
    seed : int
        Of the queries.
    report : callable
        Gets a line for each setting that was tried.

    Raises
    ------
    InvalidInputError
        For another kind, metric, k or target.
    MissingDataError
        If there are too few rows to train an index on.
    NoGainError
        If no setting reaches the target, or exact search is faster; the index is dropped again.
    StorageError
        If the storage refuses.
    """
    check_metric(metric)
    check_count(k)
    if kind not in KINDS:
        raise InvalidInputError(f"the index is one of {', '.join(KINDS)}, not {kind!r}")
    if not 0 < target <= 1:
        raise InvalidInputError(f"the recall wanted lies above 0 and is at most 1, not {target}")
    n = len(space)
    if n < max(_FEWEST_ROWS, 2 * k):
        raise MissingDataError(
            f"{space.table} has {n} rows: exact search takes no time there, and an index needs "
            f"at least {max(_FEWEST_ROWS, 2 * k)}"
        )
    queries = held_out_queries(space.exact.vectors, seed)
    truth = space.nearest(queries, k, metric, exact=True).rows
    exact_ms = _median_ms(queries, lambda query: space.nearest(query, k, metric, exact=True))
    dataset = space.dataset
    began = time.perf_counter()
    with storage_errors(f"build an index of table {space.table!r}", _HINT):
        dataset.create_index("vector", kind, NAME, metric, replace=True, **_build_options(kind, n))
    seconds = time.perf_counter() - began
    report(f"{kind} of {n:,} rows built in {seconds:.1f} s; exact search takes {exact_ms:.2f} ms")
    best: VectorIndex | None = None
    highest = 0.0
    for settings in _settings(kind, n):
        recall = _recall(space, dataset, queries, truth, metric, settings)
        asking = partial(_ask_one, space, dataset, k, metric, settings)
        milliseconds = _median_ms(queries, asking)
        named = ", ".join(f"{name} {value}" for name, value in settings.items())
        report(f"{named}: recall@{k} {recall:.4f}, {milliseconds:.2f} ms")
        highest = max(highest, recall)
        if recall >= target and (best is None or milliseconds < best.milliseconds):
            best = VectorIndex(
                encoder_id=space.encoder.encoder_id,
                kind=kind,
                metric=metric,
                settings=settings,
                rows=n,
                k=k,
                target=target,
                recall=recall,
                milliseconds=milliseconds,
                exact_milliseconds=exact_ms,
                build_seconds=seconds,
                built_at=datetime.now(UTC).isoformat(timespec="seconds"),
            )
    if best is None or (best.milliseconds >= exact_ms and not keep_slower):
        drop_index(dataset, space.table)
        raise NoGainError(
            f"no setting of {kind} finds {target:.2%} of the true neighbours, at best "
            f"{highest:.2%}; try another --type or a lower --recall"
            if best is None
            else f"exact search takes {exact_ms:.2f} ms here, {kind} {best.milliseconds:.2f} ms: "
            "no index is kept, and searches stay exact (--keep-slower keeps it all the same)"
        )
    with storage_errors(f"store the settings of the index of table {space.table!r}", _HINT):
        dataset.update_metadata({KEY: best.as_json()})
    return best


def drop_index(dataset: Any, table: str) -> bool:
    """Remove a table's search index and its settings; False if it has none."""
    with storage_errors(f"drop the index of table {table!r}", _HINT):
        there = has_index(dataset)
        if there:
            dataset.drop_index(NAME)
        if KEY in dataset.metadata:
            dataset.update_metadata({KEY: None})
    return there


def held_out_queries(vectors: Vectors, seed: int, count: int = _QUERIES) -> Vectors:
    """Means of random rows and one of the ten nearest others each: (count, width), float32."""
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(len(vectors), min(count, len(vectors)), replace=False))
    near = ExactSearch(vectors).nearest(vectors[rows], min(10, len(vectors) - 1), without=rows)
    partners = near.rows[np.arange(len(rows)), rng.integers(0, near.rows.shape[1], len(rows))]
    return np.asarray((vectors[rows] + vectors[partners]) / 2, np.float32)


def _build_options(kind: str, n: int) -> dict[str, int]:
    if kind == "IVF_HNSW_SQ":
        return {"num_partitions": max(1, n // 1_000_000), "m": 20, "ef_construction": 300}
    partitions = max(1, min(round(n**0.5), n // _FEWEST_ROWS))
    return {"num_partitions": partitions} | ({"num_sub_vectors": 96} if kind == "IVF_PQ" else {})


def _settings(kind: str, n: int) -> Iterator[dict[str, int]]:
    """Ways to ask, from quick to thorough."""
    if kind == "IVF_HNSW_SQ":
        for ef in (50, 100, 200, 400, 800):
            yield {"ef": ef, "refine_factor": 3}
        return
    partitions = _build_options(kind, n)["num_partitions"]
    probes = [count for count in (2, 4, 8, 16, 32, 64, 128, 256) if count < partitions]
    for nprobes in [*probes, partitions]:
        for refine in (5, 20) if kind == "IVF_PQ" else (0,):
            yield {"nprobes": nprobes} | ({"refine_factor": refine} if refine else {})


def _ask_one(
    space: Space, dataset: Any, k: int, metric: str, settings: dict[str, int], query: Vectors
) -> None:
    ask(dataset, space.key, query, k, metric, settings)


def _recall(
    space: Space,
    dataset: Any,
    queries: Vectors,
    truth: npt.NDArray[np.int64],
    metric: str,
    settings: dict[str, int],
) -> float:
    found = 0
    for query, rows in zip(queries, truth, strict=True):
        ids, _ = ask(dataset, space.key, query, truth.shape[1], metric, settings)
        found += np.isin(pc.index_in(ids, value_set=space.ids).to_numpy(), rows).sum()
    return float(found / truth.size)


def _median_ms(queries: Vectors, one: Callable[[Any], Any]) -> float:
    times = []
    for query in queries[:50]:
        began = time.perf_counter()
        one(query)
        times.append(time.perf_counter() - began)
    return 1000 * median(times)
