"""An index is kept with what was measured of it; with it, too, nothing that exists is missed."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from search_store import STRUCTURE_TABLE, add_structures, clustered
from tiers import few

import featurestore.search.indexing as indexing
import featurestore.search.spaces as spaces
import featurestore.search.vector_index as vector_index
from featurestore.errors import InvalidInputError, MissingDataError, ReadOnlyStoreError
from featurestore.search.indexing import NoGainError, build_index, drop_index, held_out_queries
from featurestore.search.status import index_status
from featurestore.search.vector_index import KEY, has_index
from featurestore.store import FeatureStore
from featurestore.upkeep.backup import back_up
from featurestore.upkeep.maintenance import maintain
from featurestore.upkeep.verify import verify

ROWS = 700


@pytest.fixture(scope="module")
def indexed_folder(toy_folder, tmp_path_factory):
    """640 clustered rows and the 60 toy ones, with an index that finds all neighbours."""
    folder = shutil.copytree(toy_folder, tmp_path_factory.mktemp("indexed") / "store")
    store = FeatureStore.open(folder)
    add_structures(store, clustered(ROWS - 60), 0)
    build_index(store.search.space(), target=1.0, keep_slower=True)
    return folder


@pytest.fixture
def store(indexed_folder, tmp_path):
    return FeatureStore.open(shutil.copytree(indexed_folder, tmp_path / "store"))


@pytest.fixture
def asked(monkeypatch):
    """How often an index was asked; also for filters that keep few rows."""
    monkeypatch.setattr(spaces, "_ROWS_WITHOUT_INDEX", 0)
    monkeypatch.setattr(spaces, "_LOWEST_SHARE", 0.0)
    calls = []
    asking = spaces.VectorIndex.candidates

    def noting(self, dataset, key, query, k, share):
        calls.append(k)
        return asking(self, dataset, key, query, k, share)

    monkeypatch.setattr(spaces.VectorIndex, "candidates", noting)
    return calls


def ids(found, number=0):
    return [found.ids[int(row)].as_py() for row in found.rows[number]]


def notes(store):
    found = list(verify(store))
    return [f.problem for f in found if "search index" in f.problem and not f.wrong]


@pytest.mark.slow
def test_what_was_measured_is_kept_and_shown(store):
    index = FeatureStore.open(store.uri).search.space().index
    assert index.kind == "IVF_FLAT" and index.metric == "cosine"
    assert index.recall == 1.0 and index.rows == ROWS and index.settings["nprobes"] >= 1
    with store.session() as session:
        rows = index_status(session).to_pylist()
    assert [row["type"] for row in rows] == ["IVF_FLAT", "exact"]
    assert rows[0]["not_indexed"] == 0 and rows[0]["recall"] == 1.0
    assert notes(store) == []


def test_few_queries_ask_the_index_and_find_what_exact_search_finds(store, asked):
    queries = held_out_queries(store.search.space().exact.vectors, seed=3, count=12)
    by_index = store.search.like(queries, 10)
    assert asked == [10] * 12
    exact = store.search.like(queries, 10, exact=True)
    assert len(asked) == 12
    assert by_index.rows.tolist() == exact.rows.tolist()
    assert by_index.distances.tolist() == exact.distances.tolist()


def test_another_metric_and_many_queries_are_searched_exactly(store, asked):
    store.search.like(clustered(3), 5, metric="l2")
    store.search.like(clustered(100), 5)
    assert asked == []


@pytest.mark.parametrize("share", [0.5, 0.1, 0.01, 0.003])
def test_filters_never_lack_a_hit(store, asked, share):
    space = store.search.space()
    rng = np.random.default_rng(4)
    among = np.sort(rng.choice(ROWS, max(2, int(share * ROWS)), replace=False))
    for query in clustered(5, seed=9):
        found = space.nearest(query, 10, among=among)
        truth = space.exact.nearest(query, 10, among=among)
        assert found.rows.tolist() == truth.rows.tolist()
    assert asked


def test_a_filter_looks_through_more_partitions(store, asked, monkeypatch):
    space = store.search.space()
    probed = []
    asking = vector_index.ask

    def noting(dataset, key, query, k, metric, settings):
        probed.append(settings["nprobes"])
        return asking(dataset, key, query, k, metric, settings)

    monkeypatch.setattr(vector_index, "ask", noting)
    space.nearest(clustered(1)[0], 10)
    space.nearest(clustered(1)[0], 10, among=np.arange(0, ROWS, 4))
    assert probed[1] == 4 * probed[0]


def test_a_filter_far_from_the_query_falls_back_on_exact_search(store, asked):
    """What the index returns is all outside the filter: a post-filter alone would find nothing."""
    space = store.search.space()
    query = space.exact.vectors[0]
    farthest = np.sort(space.exact.nearest(query, ROWS).rows[0][-40:])
    found = space.nearest(query, 10, among=farthest)
    assert (
        asked
        and found.rows.tolist() == space.exact.nearest(query, 10, among=farthest).rows.tolist()
    )


def test_selective_filters_read_only_their_own_vectors(store):
    space = FeatureStore.open(store.uri).search.space()
    among = np.arange(0, ROWS, 50)
    found = space.nearest(clustered(1)[0], 3, among=among)
    assert not space.in_memory
    assert found.rows.tolist() == space.exact.nearest(clustered(1)[0], 3, among=among).rows.tolist()


@pytest.mark.slow
def test_rows_added_later_are_found_and_maintenance_indexes_them(store, asked):
    far = np.full((3, 4), [9, -9, 9, -9], np.float32) + np.eye(3, 4, dtype=np.float32)
    add_structures(store, far, 5000)
    hits = store.search.like(far[1], 3)
    assert asked and set(ids(hits)) == {f"more-structure-0500{i}" for i in range(3)}
    assert notes(store) == [
        "3 of 703 rows are not in the search index yet; each search reads them one by one"
    ]
    maintain(store)
    assert notes(store) == []
    with store.session() as session:
        assert index_status(session)["not_indexed"][0].as_py() == 0
    assert set(ids(store.search.like(far[1], 3))) == set(ids(hits))
    truth = store.search.like(clustered(8, seed=5), 10, exact=True)
    assert store.search.like(clustered(8, seed=5), 10).rows.tolist() == truth.rows.tolist()


def test_removed_rows_are_not_found(store, asked):
    query = store.search.space().exact.vectors[5]
    first = ids(store.search.like(query, 2))[0]
    store.remove(STRUCTURE_TABLE, f"structure_id = '{first}'")
    assert first not in ids(store.search.like(query, 20)) and asked


@pytest.mark.slow
def test_a_restored_table_has_the_index_of_its_time(toy_folder, tmp_path, asked):
    store = FeatureStore.open(shutil.copytree(toy_folder, tmp_path / "restored"))
    add_structures(store, clustered(ROWS - 60), 0)
    store.create_snapshot("without")
    add_structures(store, clustered(5, seed=8), 9000)
    build_index(store.search.space(), target=1.0, keep_slower=True)
    store.create_snapshot("with")
    store.restore_snapshot("without")
    assert store.search.space().index is None
    store.search.like(clustered(1), 3)
    assert asked == [] and notes(store) == []
    store.restore_snapshot("with")
    assert store.search.space().index is not None
    found = store.search.like(clustered(1), 3)
    assert (
        asked
        and found.rows.tolist() == store.search.like(clustered(1), 3, exact=True).rows.tolist()
    )
    past = FeatureStore.open(store.uri, at="with")
    assert past.search.like(clustered(1), 3).rows.tolist() == found.rows.tolist()
    with pytest.raises(ReadOnlyStoreError):
        past.search.build_index()


def test_a_backup_takes_the_index_along(store, tmp_path, asked):
    back_up(store, tmp_path / "copy")
    copy = FeatureStore.open(tmp_path / "copy")
    found = copy.search.like(clustered(1), 5)
    assert asked and found.rows.tolist() == store.search.like(clustered(1), 5).rows.tolist()


def test_an_index_of_another_encoder_or_without_measurement_is_left_aside(store, asked):
    dataset = store.dataset(STRUCTURE_TABLE)
    kept = json.loads(dataset.metadata[KEY])
    dataset.update_metadata({KEY: json.dumps(kept | {"encoder_id": "older_0000000000"})})
    store.search.like(clustered(1), 3)
    dataset = store.dataset(STRUCTURE_TABLE)
    dataset.update_metadata({KEY: None})
    store.search.like(clustered(1), 3)
    assert asked == []
    assert notes(store) == [
        "has a search index that was not measured to the end; searches leave it aside"
    ]
    with store.session() as session:
        assert "left aside" in index_status(session)["type"][0].as_py()


def test_drop(store, asked):
    assert drop_index(store.dataset(STRUCTURE_TABLE), STRUCTURE_TABLE)
    dataset = store.dataset(STRUCTURE_TABLE)
    assert not has_index(dataset) and KEY not in dataset.metadata
    assert not drop_index(dataset, STRUCTURE_TABLE)
    store.search.like(clustered(1), 3)
    assert asked == []


def test_an_index_slower_than_exact_search_is_not_kept(store, monkeypatch):
    times = iter([1.0, *[2.0] * 20])
    monkeypatch.setattr(indexing, "_median_ms", lambda queries, one: next(times))
    with pytest.raises(NoGainError, match=r"exact search takes 1.00 ms.*2.00 ms"):
        build_index(store.search.space())
    assert not has_index(store.dataset(STRUCTURE_TABLE))


def test_a_faster_one_is_kept_at_its_fastest_settings(store, monkeypatch):
    times = iter([9.0, 3.0, 2.0])
    monkeypatch.setattr(indexing, "_median_ms", lambda queries, one: next(times))
    monkeypatch.setattr(indexing, "_settings", lambda kind, n: [{"nprobes": 2}, {"nprobes": 1}])
    lines = []
    built = build_index(store.search.space(), target=0.3, report=lines.append)
    assert built.settings == {"nprobes": 1} and built.milliseconds == 2.0
    assert built.exact_milliseconds == 9.0 and len(lines) == 3
    assert store.search.space().index == built


def test_an_unreachable_recall_is_said(store, monkeypatch):
    monkeypatch.setattr(indexing, "_settings", lambda kind, n: [{"nprobes": 1}])
    monkeypatch.setattr(indexing, "_recall", lambda *arguments: 0.9)
    with pytest.raises(NoGainError, match=r"finds 99.00% .* at best 90.00%"):
        build_index(store.search.space())
    assert not has_index(store.dataset(STRUCTURE_TABLE))


@pytest.mark.parametrize("kind", few(["IVF_HNSW_SQ", "IVF_FLAT"], 1))
@pytest.mark.parametrize("metric", few(["l2", "dot"], 1))
@pytest.mark.slow
def test_other_kinds_and_metrics(store, kind, metric, asked):
    build_index(store.search.space(), kind=kind, metric=metric, target=0.9, keep_slower=True)
    queries = held_out_queries(store.search.space().exact.vectors, seed=5, count=16)
    found = store.search.like(queries, 10, metric=metric)
    assert len(asked) == 16
    truth = store.search.like(queries, 10, metric=metric, exact=True)
    shared = [len(set(a) & set(b)) for a, b in zip(found.rows, truth.rows, strict=True)]
    assert sum(shared) / 160 >= 0.9


def test_held_out_queries_are_no_rows():
    vectors = clustered(300)
    queries = held_out_queries(vectors, seed=0)
    assert queries.shape == (200, 4)
    assert not {row.tobytes() for row in queries} & {row.tobytes() for row in vectors}


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"kind": "BTREE"}, InvalidInputError, "IVF_FLAT"),
        ({"metric": "hamming"}, InvalidInputError, "metric"),
        ({"k": 0}, InvalidInputError, "from 1"),
        ({"target": 1.5}, InvalidInputError, "at most 1"),
        ({"target": 0.0}, InvalidInputError, "at most 1"),
        ({"k": 400}, MissingDataError, "at least 800"),
    ],
)
def test_bad_choices(store, options, error, words):
    with pytest.raises(error, match=words):
        build_index(store.search.space(), **options)
    assert has_index(store.dataset(STRUCTURE_TABLE))
