"""The text stage: what is described once is not described again, failures wait to be retried."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_generator import FakeGenerator, Here, fake_part, start_fake
from made_up_materials import crystal, entry, ingest, rows, write_archive

import ingest.stages.text as stage
from featurestore.errors import UnknownNameError
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from ingest.pipeline.outcome import Outcome
from ingest.stages.selection import Selection
from ingest.stages.text import ingest_text

EDGES = (4.0, 5.0, 6.0, 7.0)
GENERATOR = FakeGenerator.spec.generator_id
Stage = Any


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    store = FeatureStore.open(tmp_path / "store", create=True)
    entries = [entry(f"m{edge:.0f}", edge) for edge in EDGES]
    ingest(store, write_archive(tmp_path / "a.json", [*entries, entry("twin", 4.0)]))
    return store


@pytest.fixture
def describe(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Run the stage with a fake generator in this process."""
    behaviour: dict[float, str] = {}
    fake = FakeGenerator(behaviour)
    monkeypatch.setattr(stage, "text_part", lambda source: fake_part(fake))
    monkeypatch.setattr(stage, "_start_worker", lambda *_: start_fake(behaviour, False))
    monkeypatch.setattr(stage, "InWorkers", Here)

    def run(*, misbehave: dict[float, str] | None = None, **options: Any) -> Outcome:
        behaviour.clear()
        behaviour.update(misbehave or {})
        given = {"selection": Selection(), "retry_failures": False, "workers": 1} | options
        return ingest_text(
            store,
            "fake",
            settings={},
            time_limit=60.0,
            run=Run("run"),
            **given,
        )

    return run


def described(store: FeatureStore) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in store.sql("FROM sentences ORDER BY structure_id, position").to_pylist():
        assert row["position"] == len(found.setdefault(row["structure_id"], []))
        found[row["structure_id"]].append(row["sentence"])
    return found


def test_every_distinct_structure_is_described_once(store, describe):
    outcome = describe()
    assert (outcome.written, outcome.present, outcome.failures) == (4, 0, {})
    assert described(store) == {
        crystal(edge).structure_id: [f"The cell has an edge of {edge} Å.", "It is a cube."]
        for edge in EDGES
    }
    [row] = rows(store, "generators")
    assert row == {
        "generator_id": GENERATOR,
        "source": "fake",
        "tags": ["summary", "other"],
        "reference_tags": ["summary"],
        "fingerprint": '{"version":1}',
    }
    assert [row["reference_tags"] for row in rows(store, "sentences")].count(["summary"]) == 4


def test_a_second_run_does_nothing(store, describe):
    describe()
    with store.session() as session:
        before = session.versions
    outcome = describe(misbehave=dict.fromkeys(EDGES, "raise"))
    assert (outcome.written, outcome.present, outcome.failures) == (0, 4, {})
    with store.session() as session:
        assert session.versions == before


def test_new_structures_and_choices(store, describe, tmp_path):
    assert describe(selection=Selection(where="material_id = 'm5'")).written == 1
    ingest(store, write_archive(tmp_path / "b.json", [entry("new", 8.0)]))
    outcome = describe()
    assert (outcome.written, outcome.present) == (4, 1)


def test_failures_are_recorded_left_out_and_retried(store, describe):
    outcome = describe(misbehave={5.0: "raise", 6.0: "empty"})
    assert (outcome.written, len(outcome.failures)) == (2, 2)
    found = {row["item"]: row for row in rows(store, "failures")}
    assert found[crystal(5).structure_id] == {
        "stage": "text",
        "item": crystal(5).structure_id,
        "context": GENERATOR,
        "error": "ValueError",
        "message": "no words for 5.0",
    }
    assert found[crystal(6).structure_id]["message"] == "the description is empty"

    outcome = describe()
    assert (outcome.written, outcome.present, outcome.failed_before) == (0, 2, 2)
    assert any("--retry-failures" in line for line in outcome.summary())

    outcome = describe(misbehave={6.0: "raise"}, retry_failures=True)
    assert (outcome.written, outcome.present, len(outcome.failures)) == (1, 2, 1)
    [row] = rows(store, "failures")
    assert (row["item"], row["message"]) == (crystal(6).structure_id, "no words for 6.0")
    assert describe(retry_failures=True).written == 1
    assert rows(store, "failures") == []


def test_a_tag_that_is_not_declared_is_a_failure_that_names_it(store, describe):
    outcome = describe(misbehave={5.0: "untold tag"})
    [failure] = outcome.failures.values()
    assert "'fake' gives a sentence the tag 'shape', which it does not declare" in failure.message
    assert outcome.written == 3


def test_an_interruption_keeps_what_is_done(store, describe, monkeypatch):
    class Interrupted(Here):
        def run(self, items: Any) -> Any:
            for number, result in enumerate(super().run(items)):
                if number == 2:
                    raise KeyboardInterrupt
                yield result

    monkeypatch.setattr(stage, "InWorkers", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        describe(misbehave={EDGES[0]: "raise"})
    done = len(described(store))
    assert done + len(rows(store, "failures")) == 2
    monkeypatch.setattr(stage, "InWorkers", Here)
    outcome = describe(retry_failures=True)
    assert (outcome.present, outcome.written) == (done, 4 - done)
    assert len(described(store)) == 4 and rows(store, "failures") == []


def test_writes_are_batched_and_whole(store, describe, monkeypatch):
    monkeypatch.setattr(stage, "_STRUCTURES_A_WRITE", 3)
    written = []
    merge = FeatureStore.merge

    def count(self: FeatureStore, table: str, rows: Any, **options: Any) -> Any:
        if table == "sentences":
            written.append(len(set(rows["structure_id"].to_pylist())))
        return merge(self, table, rows, **options)

    monkeypatch.setattr(FeatureStore, "merge", count)
    describe()
    assert written == [3, 1]


def test_in_real_workers(store, monkeypatch):
    """One structure kills its worker, one raises, one takes too long; the fourth is described."""
    monkeypatch.setattr(stage, "text_part", lambda source: fake_part())
    monkeypatch.setattr(stage, "_start_worker", start_fake)
    behaviour = {4.0: "die", 5.0: "raise", 6.0: "hang"}
    outcome = ingest_text(
        store,
        behaviour,  # type: ignore[arg-type]  # handed to the initializer as the source is
        settings={},
        selection=Selection(),
        workers=2,
        time_limit=2.0,
        retry_failures=False,
        run=Run("run"),
    )
    assert outcome.written == 1
    assert list(described(store)) == [crystal(7).structure_id]
    errors = {row["item"]: row["error"] for row in rows(store, "failures")}
    assert errors == {
        crystal(4).structure_id: "WorkerDied",
        crystal(5).structure_id: "ValueError",
        crystal(6).structure_id: "TimeLimit",
    }


def test_an_unknown_source(store):
    with pytest.raises(UnknownNameError, match="did you mean 'robocrystallographer'"):
        ingest_text(
            store,
            "robocrystalographer",
            settings={},
            selection=Selection(),
            workers=1,
            time_limit=1.0,
            retry_failures=False,
            run=Run("run"),
        )
