"""The glance at a store."""

from __future__ import annotations

from datetime import UTC, datetime

import synthetic_store as toy

from featurestore.failure import Failure
from featurestore.identity import canonical_json
from featurestore.store import FeatureStore
from featurestore.summary import summarise


def summary(store: FeatureStore) -> dict[str, list[str]]:
    with store.session() as session:
        return dict(summarise(session))


def test_an_empty_store(tmp_path):
    found = summary(FeatureStore.open(tmp_path / "store", create=True))
    assert found.pop("Failures") == ["none"]
    assert set(map(tuple, found.values())) == {("none yet",)}


def test_a_filled_store(tmp_path):
    store = toy.make_store(tmp_path / "store", 10, targets=list(range(10)))
    with store.run("ingest toys", {}) as run:
        run.counts = {"written": 10}
        store.record_failures("text", "g_1", {"b": Failure("E", "m"), "a": Failure("E", "n")}, run)
    found = summary(store)
    last = found.pop("Last runs")
    assert "ingest toys: finished after 0 s, written 10" in last[0]
    assert found == {
        "Materials": ["toy: 10 materials, 10 distinct structures, median 2 atoms, at most 2"],
        "Properties": ["mbj_bandgap: 10 values, 0 to 9 eV, mean 4.5 (toy)"],
        "Splits": ["toy, mbj_bandgap: 6 train, 2 val, 2 test"],
        "Texts": ["robocrystallographer_0000000003: 17 sentences of 10 structures"],
        "Encoders": [
            "toy_graph_0000000001 (structure): 10 vectors of 4",
            "toy_text_0000000002 (text): 10 vectors of 3",
        ],
        "Models": ["none yet"],
        "Failures": ["text g_1: 2 × E, for example a"],
    }


def test_a_cross_validation_is_one_line(tmp_path):
    """Beside a plain split whose name looks like one of its splits."""
    store = toy.make_store(tmp_path / "store", 10, targets=list(range(10)))
    with store.run("ingest splits", {}) as run:
        for name, fold in (("cv/0", 0), ("cv/1", 1), ("cv/plain", None)):
            crossed = {"way": "folds", "of": "cv", "folds": 2, "fold": fold, "seed": 0}
            rule = {"way": "given"} if fold is None else crossed
            shared = {"split": name, "property": "*", "run_id": run.run_id}
            version = {
                "version": 1,
                "rule": canonical_json(rule),
                "materials": 5,
                "created_at": datetime.now(UTC),
            }
            store.merge_rows("split_versions", [shared | version])
            ids = [f"toy-{i:03}" for i in range(5)]
            tested = ids[2 * (fold or 0) : 2 + 3 * (fold or 0)]
            folds = [{"material_id": i, "fold": "test" if i in tested else "train"} for i in ids]
            store.merge_rows("splits", [shared | row for row in folds])
    assert summary(store)["Splits"] == [
        "cv, all materials: cross-validation of 2 splits, 5 materials in tests of 2 to 3",
        "cv/plain, all materials: 3 train, 0 val, 2 test",
        "toy, mbj_bandgap: 6 train, 2 val, 2 test",
    ]
