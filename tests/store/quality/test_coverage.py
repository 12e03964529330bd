"""What materials lack, counted by hand, and the command that fills each gap."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import synthetic_store as toy
from click.testing import CliRunner

from featurestore.cli.root import root
from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.failure import Failure
from featurestore.identity import text_id
from featurestore.quality.coverage import coverage, missing
from featurestore.session import QueryError
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from featurestore.tables.schemas import embedding_table

GENERATOR = "robocrystallographer_0000000003"
TEXTS = f"{toy.TEXT_ENCODER} of {GENERATOR}"


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    """Ten materials: 8 have text, 0 and 1 no structure vector, 2 no text vector, 3 no target."""
    store = toy.make_store(tmp_path / "store", 10, with_text=8)
    structures = embedding_table("structure", toy.STRUCTURE_ENCODER)
    store.remove(structures, "structure_id IN ('structure-0', 'structure-1')")
    text = " ".join(s for _, s in toy.sentences(2, "robocrystallographer"))
    store.remove(embedding_table("text", toy.TEXT_ENCODER), f"text_id = '{text_id(text)}'")
    store.remove("properties", "material_id = 'toy-003'")
    return store


def counted(store: FeatureStore, **choices: object) -> dict[str, tuple[int, int, int]]:
    with store.session() as session:
        rows = coverage(session, **choices).to_pylist()
    return {row["name"]: (row["have"], row["lack"], row["failed"]) for row in rows}


def commands(store: FeatureStore, **choices: object) -> dict[str, str | None]:
    with store.session() as session:
        rows = coverage(session, **choices).to_pylist()
    return {row["name"]: row["fill"] for row in rows}


def test_counts(store):
    assert counted(store) == {
        toy.PROPERTY: (9, 1, 0),
        GENERATOR: (8, 2, 0),
        toy.STRUCTURE_ENCODER: (8, 2, 0),
        TEXTS: (7, 3, 0),
    }
    assert counted(store, where="material_id < 'toy-002'") == {
        toy.PROPERTY: (2, 0, 0),
        GENERATOR: (2, 0, 0),
        toy.STRUCTURE_ENCODER: (0, 2, 0),
        TEXTS: (2, 0, 0),
    }
    assert set(counted(store, only=["toy-text", toy.PROPERTY])) == {TEXTS, toy.PROPERTY}
    assert set(counted(store, only=["robocrystallographer"])) == {GENERATOR, TEXTS}
    with store.session() as session:
        percent = coverage(session, only=[TEXTS.split()[0]])["percent"].to_pylist()
    assert percent == [70.0]


def test_counts_agree_with_the_macro(store):
    macro = {row["name"]: row["materials"] for row in store.sql("FROM coverage()").to_pylist()}
    assert macro == {name: have for name, (have, _, _) in counted(store).items()}


def test_the_materials_that_lack_something(store):
    with store.session() as session:
        rows = missing(session).to_pylist()
    found = {}
    for row in rows:
        found.setdefault(row["name"], []).append(int(row["material_id"].removeprefix("toy-")))
    assert found == {
        toy.PROPERTY: [3],
        GENERATOR: [8, 9],
        toy.STRUCTURE_ENCODER: [0, 1],
        TEXTS: [2, 8, 9],
    }
    assert {row["formula"] for row in rows} == {"NaCl"}


def test_commands_that_fill_the_gaps(store):
    where = "material_id > 'toy-004'"
    found = commands(store, where=where)
    assert found[toy.STRUCTURE_ENCODER] is None and found[toy.PROPERTY] is None
    assert found[GENERATOR] == (
        "featurestore ingest text --text robocrystallographer "
        """--where 'material_id > '"'"'toy-004'"'"''"""
    )
    assert commands(store)[TEXTS] == (
        "featurestore ingest embeddings --encoder toy-text --text robocrystallographer"
    )


def test_the_command_makes_the_same_version_again(store):
    """An encoder of other settings would be another encoder."""
    now = datetime.now(UTC)
    given = {"encoder": "./weights/toy", "precision": "bfloat16", "device": "cpu", "max_tokens": 9}
    given |= {"properties": ["slme"], "source": "chemnlp", "variants": ["full"]}
    run = {"run_id": "toy-run", "command": "ingest embeddings", "arguments": json.dumps(given)}
    run |= {"versions": "{}", "status": "ok", "pid": 1, "started_at": now, "ended_at": now}
    store.merge_rows("runs", [run | dict.fromkeys(("git_commit", "counts", "message", "host"))])
    assert commands(store, only=[toy.TEXT_ENCODER])[TEXTS] == (
        "featurestore ingest embeddings --encoder ./weights/toy --text robocrystallographer "
        "--precision bfloat16 --max-tokens 9"
    )


def test_failures_on_record_are_counted_and_told(store):
    failures = {f"structure-{i}": Failure("Error", f"{i} is odd") for i in (0, 1, 5)}
    store.record_failures("embeddings", toy.STRUCTURE_ENCODER, failures, Run("r"))
    target = {f"toy-003 {toy.PROPERTY}": Failure("Error", "no number")}
    store.record_failures("targets", "toy", target, Run("r"))
    found = counted(store)
    assert found[toy.STRUCTURE_ENCODER] == (8, 2, 2) and found[toy.PROPERTY] == (9, 1, 1)
    assert commands(store)[toy.STRUCTURE_ENCODER] == (
        "featurestore ingest embeddings --encoder toy-graph --retry-failures"
    )
    with store.session() as session:
        reasons = missing(session, only=[toy.STRUCTURE_ENCODER, toy.PROPERTY])["failure"]
    assert reasons.to_pylist() == ["no number", "0 is odd", "1 is odd"]


def test_retired_versions_are_left_out_unless_named(store):
    standing = {"standing": "retired", "reason": "", "changed_at": datetime.now(UTC)}
    store.merge_rows("standings", [standing | {"id": toy.TEXT_ENCODER, "run_id": "r"}])
    assert TEXTS not in counted(store)
    assert TEXTS in counted(store, only=[toy.TEXT_ENCODER])


def test_names_with_quotes(store):
    name = "it's; DROP"
    row = store.sql("FROM properties LIMIT 1").to_pylist()[0]
    store.merge_rows("properties", [row | {"property": name}])
    assert counted(store, only=[name]) == {name: (1, 9, 0)}


def test_bad_input(store):
    with store.session() as session:
        with pytest.raises(UnknownNameError, match="did you mean 'mbj_bandgap'"):
            coverage(session, only=["mbj_bandgab"])
        with pytest.raises(InvalidInputError, match="not an SQL condition"):
            coverage(session, "true) OR (true")
        with pytest.raises(QueryError, match="nothing"):
            missing(session, "nothing = 1")


def test_an_empty_store(tmp_path):
    store = FeatureStore.open(tmp_path / "store", create=True)
    with store.session() as session:
        assert coverage(session).num_rows == missing(session).num_rows == 0


def test_the_command(store, tmp_path):
    def run(*arguments: str) -> str:
        command = ["coverage", *arguments, "--store", store.uri]
        result = CliRunner().invoke(root, command, catch_exceptions=False)
        assert result.exit_code == 0
        return result.output

    shown = run()
    assert "To fill the gaps:" in shown and "featurestore ingest embeddings" in shown
    assert "To fill" not in run("--where", "material_id = 'toy-004'")
    listed = run("--missing", "--of", toy.PROPERTY, "--format", "csv")
    assert listed.splitlines() == [
        "kind,name,material_id,formula,failure",
        f"property,{toy.PROPERTY},toy-003,NaCl,",
    ]
    run("-o", str(tmp_path / "coverage.csv"))
    assert (tmp_path / "coverage.csv").read_text().startswith("kind,name,have,lack,failed")
