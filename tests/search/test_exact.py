"""Exact search agrees with brute force in float64, whatever the blocks, ties and filters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import featurestore.search.exact as exact
from featurestore.errors import InvalidInputError
from featurestore.search.exact import ExactSearch
from featurestore.search.metrics import METRICS


def brute_force(vectors, queries, k, metric, among=None, without=None):
    """Rows and distances by a full sort, ties by row."""
    x, q = vectors.astype(np.float64), queries.astype(np.float64)
    if metric == "cosine":
        norms = np.linalg.norm(x, axis=1, keepdims=True)
        x = x / np.where(norms == 0, 1, norms)
        products = (q / np.linalg.norm(q, axis=1, keepdims=True)) @ x.T
        distances = 1 - products
    elif metric == "dot":
        distances = -(q @ x.T)
    else:
        distances = np.sqrt(((q[:, None, :] - x[None, :, :]) ** 2).sum(axis=2))
    allowed = np.zeros(len(x), bool)
    allowed[slice(None) if among is None else among] = True
    distances[:, ~allowed] = np.inf
    if without is not None:
        distances[np.arange(len(q)), without] = np.inf
    rows = np.lexsort((np.broadcast_to(np.arange(len(x)), distances.shape), distances), axis=1)
    rows = rows[:, : min(k, allowed.sum())]
    return rows, np.take_along_axis(distances, rows, axis=1)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks so small that a few hundred rows are many of them."""
    monkeypatch.setattr(exact, "_QUERIES_A_BLOCK", 16)
    monkeypatch.setattr(exact, "_SCORES_A_BLOCK", 16 * 150)
    monkeypatch.setattr(exact, "_ROWS_A_BLOCK", 70)
    monkeypatch.setattr(exact, "_GROUPS", 16)


@pytest.fixture
def vectors():
    """Rows far from the origin and close together, as an encoder's are."""
    rng = np.random.default_rng(0)
    return (rng.normal(size=(900, 24)) * 0.3 + 2 * rng.normal(size=24)).astype(np.float32)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("share", [None, 0.05, 0.6])
@pytest.mark.parametrize("k", [1, 10, 130])
def test_it_agrees_with_brute_force(vectors, small_blocks, metric, share, k):
    rng = np.random.default_rng(1)
    queries = vectors[rng.choice(900, 50)] + rng.normal(size=(50, 24)).astype(np.float32) * 0.1
    among = None if share is None else np.sort(rng.choice(900, int(900 * share), replace=False))
    found = ExactSearch(vectors).nearest(queries, k, metric, among=among)
    rows, distances = brute_force(vectors, queries, k, metric, among)
    assert found.rows.tolist() == rows.tolist()
    np.testing.assert_allclose(found.distances, distances, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_one_query_and_many_give_the_same(vectors, metric):
    search = ExactSearch(vectors)
    together = search.nearest(vectors[:40], 7, metric)
    for number in range(40):
        alone = search.nearest(vectors[number], 7, metric)
        assert alone.rows[0].tolist() == together.rows[number].tolist()
        assert alone.distances[0].tolist() == together.distances[number].tolist()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("among", [None, np.arange(0, 900, 2), np.arange(0, 900, 9)])
def test_rows_are_left_out_of_their_own_neighbours(vectors, small_blocks, metric, among):
    own = np.arange(900)
    found = ExactSearch(vectors).nearest(vectors, 5, metric, among=among, without=own)
    rows, _ = brute_force(vectors, vectors, 5, metric, among, own)
    assert not (found.rows == own[:, None]).any()
    assert found.rows.tolist() == rows.tolist()


@pytest.mark.parametrize("metric", METRICS)
def test_equal_vectors_come_in_the_order_of_their_rows(small_blocks, metric):
    rng = np.random.default_rng(2)
    distinct = rng.normal(size=(7, 33)).astype(np.float32)
    copies = np.tile(distinct, (130, 1))
    found = ExactSearch(copies).nearest(distinct, 12, metric)
    rows, _ = brute_force(distinct, distinct, 7, metric)
    for number in range(7):
        first = rows[number, 0]
        assert found.rows[number].tolist() == [first + 7 * copy for copy in range(12)]
        if metric != "dot":
            assert found.distances[number].tolist() == [0.0] * 12


def test_many_more_ties_than_candidates_are_kept_in_bounded_memory(small_blocks):
    same = np.ones((5000, 8), np.float32)
    found = ExactSearch(same).nearest(same[:40], 3)
    assert found.rows.tolist() == [[0, 1, 2]] * 40


def test_tiny_angles_are_told_apart():
    """1 - cos in float32, or by its formula in float64, would call these equal."""
    base = np.array([1.0, 0.0, 0.0], np.float32)
    steps = np.array([[0, 0, 0], [0, 3e-6, 0], [0, 1e-6, 0], [0, 2e-6, 0]], np.float32)
    found = ExactSearch(base + steps).nearest(base, 4)
    assert found.rows.tolist() == [[0, 2, 3, 1]]
    np.testing.assert_allclose(found.distances[0], [0, 5e-13, 2e-12, 4.5e-12], rtol=1e-3)


def test_fewer_rows_than_asked_for(vectors):
    search = ExactSearch(vectors)
    rows, _ = brute_force(vectors, vectors[:2], 2, "cosine", np.array([3, 8]))
    assert search.nearest(vectors[:2], 5, among=np.array([3, 8])).rows.tolist() == rows.tolist()
    assert search.nearest(vectors[:2], 5, among=np.empty(0, np.int64)).rows.shape == (2, 0)
    left = search.nearest(vectors[3], 5, among=np.array([3, 8]), without=np.array([3]))
    assert left.rows.tolist() == [[8, -1]] and np.isnan(left.distances[0, 1])


def test_a_stored_zero_vector_is_at_distance_one():
    rows = np.array([[1, 0], [0, 0], [-1, 0]], np.float32)
    found = ExactSearch(rows).nearest([1.0, 0.0], 3)
    assert found.rows.tolist() == [[0, 1, 2]] and found.distances.tolist() == [[0, 1, 2]]


@pytest.mark.parametrize(
    ("queries", "k", "metric", "words"),
    [
        (np.zeros((2, 23)), 3, "l2", r"shape \(2, 23\).*width 24"),
        (np.zeros((1, 2, 24)), 3, "l2", "shape"),
        (np.full((2, 24), np.nan), 3, "l2", "query vector 0 holds NaN"),
        (np.zeros(24), 3, "cosine", "zero throughout"),
        (np.ones(24), 0, "l2", "from 1, not 0"),
        (np.ones(24), 2.5, "l2", "from 1, not 2.5"),
        (np.ones(24), 3, "manhattan", "one of cosine, l2, dot"),
        ([["a"] * 24], 3, "l2", "must be numbers"),
    ],
)
def test_what_cannot_be_searched_is_refused(vectors, queries, k, metric, words):
    with pytest.raises(InvalidInputError, match=words):
        ExactSearch(vectors).nearest(queries, k, metric)


def test_the_module_needs_no_model_library():
    source = Path(exact.__file__).read_text("utf-8")
    assert "torch" not in source and "sklearn" not in source
