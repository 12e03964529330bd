"""Running a study: what is done stays, what changed is named, a kill costs one step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import synthetic_store as toy
from click.testing import CliRunner
from test_study_file import BASE, written

import explain.study.run as running
from explain.study.file import read_study
from explain.study.making import Output, StepError, Workshop, make_split
from explain.study.plan import AGAIN, DONE, NEW
from explain.study.record import Record
from explain.study.run import plan_study, run_study
from explain.study.state import look
from explain.study.steps import Step
from featurestore.cli.root import root
from featurestore.errors import InvalidInputError
from featurestore.store import FeatureStore


class Rooms:
    """Stands in for the rooms: each step makes a file, and says what it read."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.workers: set[int | None] = set()
        self.fails: BaseException | None = None
        self.output: dict[str, int] = {}

    def make(self, shop: Workshop, step: Step) -> Output:
        if self.fails is not None and step.table == "training":
            raise self.fails
        self.made.append(step.name)
        self.workers.add(shop.workers)
        (shop.folder / f"{step.name}.txt").write_text("")
        facts = {"number": self.output.get(step.name, 0)}
        if step.table == "sources":
            found = look(shop.store)
            assert found is not None
            facts["state"] = found.digests
        return Output(facts, files=[f"{step.name}.txt"])


@pytest.fixture
def rooms(monkeypatch: pytest.MonkeyPatch) -> Rooms:
    made = Rooms()
    monkeypatch.setattr(running, "_MAKERS", dict.fromkeys(running._MAKERS, made.make))
    return made


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return toy.make_store(tmp_path_factory.mktemp("study") / "store", 10).uri


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return written(tmp_path, BASE)


def states(path: Path, uri: str) -> dict[str, tuple[str, str]]:
    planned = plan_study(read_study(path), uri)
    return {one.step.name: (one.state, one.why) for one in planned}


def test_what_is_done_stays_and_a_study_that_is_done_makes_nothing(rooms, study, uri):
    assert {state for state, _ in states(study, uri).values()} == {NEW}
    first = run_study(read_study(study), uri)
    assert rooms.made == [one.step.name for one in first.made] and first.done == 0
    assert {state for state, _ in states(study, uri).values()} == {DONE}
    again = run_study(read_study(study), uri)
    assert (again.made, again.done) == ((), len(first.made))
    assert again.fingerprint == first.fingerprint
    runs = FeatureStore.open(uri).sql("FROM runs WHERE command = 'study run'").to_pylist()
    assert json.loads(runs[0]["arguments"])["fingerprint"] == first.fingerprint


def test_so_many_processes_describe_as_the_configuration_says(rooms, study, uri, monkeypatch):
    monkeypatch.setenv("FEATURESTORE_WORKERS", "3")
    done = CliRunner().invoke(root, ["study", "run", str(study), "--store", uri])
    assert done.exit_code == 0, done.output
    assert rooms.workers == {3}


def test_a_kill_costs_the_step_that_was_under_way(rooms, study, uri):
    rooms.fails = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run_study(read_study(study), uri)
    before, rooms.made, rooms.fails = rooms.made, [], None
    assert "features.both" in before and "training.t" not in before
    run_study(read_study(study), uri)
    assert rooms.made == ["training.t", "explanations.e", "report"]


def test_a_step_that_fails_is_named_and_those_before_it_are_kept(rooms, study, uri):
    rooms.fails = InvalidInputError("no rows")
    with pytest.raises(StepError, match=r"^\[training\.t\]: no rows$"):
        run_study(read_study(study), uri)
    assert states(study, uri)["features.both"][0] == DONE


def test_folds_that_are_stored_stay_and_the_way_out_is_an_entry(rooms, study, uri, monkeypatch):
    monkeypatch.setitem(running._MAKERS, "splits", make_split)
    drawn = BASE.replace('["slme"]', f'["{toy.PROPERTY}"]')
    study.write_text(drawn.replace("80/10/10", "60/20/20"))
    run_study(read_study(study), uri)
    study.write_text(drawn)
    with pytest.raises(StepError, match=r"folds that are stored stay; .* as \[splits\.random-2\]$"):
        run_study(read_study(study), uri)


def test_what_changed_is_made_again_and_named(rooms, study, uri):
    run_study(read_study(study), uri)
    study.write_text(BASE.replace('weights = "minilm"', 'weights = "mpnet"') + "controls = 2\n")
    planned = states(study, uri)
    assert planned["encoders.language"] == (AGAIN, 'weights was "minilm", is "mpnet"')
    assert planned["features.both"] == (AGAIN, "after [encoders.language]")
    assert planned["explanations.e"] == (AGAIN, "controls was not there, is 2")
    assert planned["texts.chemnlp"][0] == planned["features.structure"][0] == DONE
    rooms.made = []
    said: list[str] = []
    run_study(read_study(study), uri, say=said.append)
    # the new encoder made what the old one had made: what needs it needs nothing new
    assert rooms.made == ["encoders.language", "explanations.e", "report"]
    assert '[encoders.language] again: weights was "minilm", is "mpnet"' in said


def test_what_made_something_else_makes_what_needs_it_again(rooms, study, uri):
    run_study(read_study(study), uri)
    study.write_text(BASE.replace('weights = "minilm"', 'weights = "mpnet"'))
    rooms.made, rooms.output = [], {"encoders.language": 1}
    run_study(read_study(study), uri)
    assert rooms.made == ["encoders.language", "features.both", "report"]
    assert states(study, uri)["training.t"][0] == DONE


def test_an_entry_that_is_gone_and_a_file_that_is_gone_are_named(rooms, study, uri):
    run_study(read_study(study), uri)
    Path("study/training.t.txt").unlink()
    assert states(study, uri)["training.t"] == (AGAIN, "its file training.t.txt is gone")
    study.write_text(BASE[: BASE.index("[explanations.e]")])
    said: list[str] = []
    rooms.made = []
    run_study(read_study(study), uri, say=said.append)
    assert rooms.made == ["training.t", "report"]
    assert "[explanations.e] is no longer in the study; what it made stays in the store" in said


def test_a_store_that_has_grown_is_looked_at_again(rooms, study, tmp_path):
    store = toy.make_store(tmp_path / "growing", 6)
    run_study(read_study(study), store.uri)
    store.merge_rows("properties", [toy_target()])
    assert states(study, store.uri)["sources.sample"] == (
        AGAIN,
        "the store has other materials or targets by now",
    )


def toy_target() -> dict[str, object]:
    return {
        "material_id": "toy-000",
        "property": "slme",
        "source": "toy",
        "value": 1.0,
        "unit": "%",
        "run_id": "toy-run",
    }


def test_another_store_has_nothing_of_what_was_made(rooms, study, uri, tmp_path):
    run_study(read_study(study), uri)
    assert {state for state, _ in states(study, str(tmp_path / "other")).values()} == {NEW}


def test_a_record_that_cannot_be_read_is_named(rooms, study, uri):
    run_study(read_study(study), uri)
    Path("study/study.json").write_text('{"store": "x"}')
    assert Record.of(Path("study"), "y").steps == {}
    with pytest.raises(InvalidInputError, match=r"study\.json is no record of a study"):
        Record.of(Path("study"), "x")
