"""Leakage against materials whose relations are known."""

from __future__ import annotations

from pathlib import Path

import pytest
import synthetic_store as toy
from click.testing import CliRunner

from featurestore.errors import InvalidInputError, MissingDataError, UnknownNameError
from featurestore.store import FeatureStore
from train.analysis.leakage import Leakage, errors_on_new_materials, leakage, read_seen
from train.cli.root import train
from train.predictors.baselines.constant import Constant
from train.training import train_model

# Folds by number: 3 and 8 val, 4 and 9 test, the others train.
FORMULAS = {0: "NaCl", 4: "NaCl", 9: "SiO2", 1: "SiO2", 3: "SiO2"}
SPACE_GROUPS = {1: 154, 3: 136, 9: 154}
GROUPS = {"structure-9": "structure-1", "structure-1": "structure-1", "structure-3": "structure-3"}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FeatureStore:
    """Ten materials: 4 has the structure of 0; 9 and 1 are one crystal; 3 is a polymorph of it."""
    plain = toy._material

    def related(index: int) -> dict[str, object]:
        changed = {
            "formula": FORMULAS.get(index, f"X{index}"),
            "space_group_number": SPACE_GROUPS.get(index, 225),
            "structure_id": "structure-0" if index == 4 else f"structure-{index}",
        }
        return plain(index) | changed

    monkeypatch.setattr(toy, "_material", related)
    return toy.make_store(tmp_path / "store", 10)


def _compare(store: FeatureStore) -> None:
    store.merge_rows(
        "duplicates",
        (
            {"structure_id": name, "group_id": group, "matcher": "toy", "run_id": "toy-run"}
            for name, group in GROUPS.items()
        ),
    )


def _found(store: FeatureStore, **arguments: object) -> Leakage:
    with store.session() as session:
        return leakage(session, toy.PROPERTY, toy.SPLIT, **arguments)  # type: ignore[arg-type]


def _counts(found: Leakage, kind: str) -> dict[tuple[str, str], int]:
    return {(leak.fold, leak.met_in): leak.materials for leak in found.leaks if leak.kind == kind}


def test_every_notion_is_counted(store: FeatureStore) -> None:
    _compare(store)
    found = _found(store)
    assert _counts(found, "equal structure") == {
        ("test", "train"): 1,
        ("test", "val"): 0,
        ("val", "train"): 0,
    }
    same = _counts(found, "same crystal, by StructureMatcher")
    assert same == {("test", "train"): 1, ("test", "val"): 0, ("val", "train"): 0}
    assert _counts(found, "equal formula and space group")["test", "train"] == 2
    assert _counts(found, "equal formula and space group")["val", "train"] == 0
    assert _counts(found, "equal formula") == {
        ("test", "train"): 2,
        ("test", "val"): 1,
        ("val", "train"): 1,
    }
    leak = next(leak for leak in found.leaks if leak.materials)
    assert leak.example == "toy-004 and toy-000"
    assert (leak.of, {leak.of for leak in found.leaks}) == (2, {2})


@pytest.mark.slow
def test_what_was_not_compared_is_said(store: FeatureStore) -> None:
    found = _found(store)
    assert _counts(found, "same crystal, by StructureMatcher")["test", "train"] == 0
    note = found.notes[0]
    assert "3 materials share their formula with others and were not compared" in note
    assert "featurestore ingest duplicates --property mbj_bandgap" in note
    _compare(store)
    assert not any("were not compared" in note for note in _found(store).notes)


def test_what_a_source_model_saw(store: FeatureStore, tmp_path: Path) -> None:
    found = _found(store)
    assert any("toy_graph_0000000001 does not say" in note for note in found.notes)
    path = tmp_path / "seen.csv"
    path.write_text("material_id,fold\ntoy-004,train\ntoy-003,val\ntoy-009,test\nelsewhere,train\n")
    found = _found(store, seen=path)
    assert _counts(found, "seen by the source model") == {
        ("test", "seen.csv"): 1,
        ("val", "seen.csv"): 1,
    }
    assert not any("does not say" in note for note in found.notes)


def test_an_encoder_may_say_what_it_was_trained_on(store: FeatureStore) -> None:
    row = store.sql("FROM encoders WHERE kind = 'structure'").to_pylist()[0]
    for encoder_id, fingerprint in (
        ("told_0000000009", '{"trained_on":["toy-004","toy-009"]}'),
        ("untrained_0000000009", '{"trained_on":[]}'),
        ("worded_0000000009", '{"trained_on":"MPtrj: energies and forces"}'),
    ):
        store.merge_rows("encoders", [row | {"encoder_id": encoder_id, "fingerprint": fingerprint}])
    found = _found(store)
    seen = _counts(found, "seen by the source model")
    assert seen == {("test", "told_0000000009"): 2, ("val", "told_0000000009"): 0}
    assert not any("untrained" in note for note in found.notes)
    (note,) = (note for note in found.notes if "worded" in note)
    assert "worded_0000000009 was trained on MPtrj: energies and forces; which of these" in note
    assert "--seen FILE" in note


def test_errors_without_what_was_met(store: FeatureStore) -> None:
    _compare(store)
    view = store.training_view(toy.PROPERTY, **toy.view_request("text"))
    train_model(store, view, Constant("mean"), 0)
    store.remove("duplicates", "structure_id = 'structure-9'")
    with store.session() as session:
        (row,) = errors_on_new_materials(session, toy.PROPERTY, toy.SPLIT).to_pylist()
    errors = store.sql(
        "SELECT material_id, abs(target - prediction) AS e FROM predictions WHERE fold = 'test'"
    ).to_pylist()
    by_id = {entry["material_id"]: entry["e"] for entry in errors}
    assert (row["n"], row["n_new_crystal"], row["n_new_formula"]) == (2, 1, 0)
    assert row["mae"] == pytest.approx(sum(by_id.values()) / 2)
    assert row["mae_new_crystal"] == by_id["toy-009"]
    assert row["mae_new_formula"] is None
    assert row["features"] == "none"


def test_unknown_names_and_bad_files(store: FeatureStore, tmp_path: Path) -> None:
    with store.session() as session:
        with pytest.raises(UnknownNameError, match="property 'slme'"):
            leakage(session, "slme", toy.SPLIT)
        with pytest.raises(UnknownNameError, match="split 'nosuch'"):
            leakage(session, toy.PROPERTY, "nosuch")
        with pytest.raises(MissingDataError, match="no model"):
            errors_on_new_materials(session, toy.PROPERTY, toy.SPLIT)
    path = tmp_path / "seen.csv"
    for content, message in (
        ("id\nx\n", "no column material_id"),
        ("material_id\n", "no material"),
    ):
        path.write_text(content)
        with pytest.raises(InvalidInputError, match=message):
            read_seen(path)
    with pytest.raises(InvalidInputError, match="cannot read"):
        read_seen(tmp_path / "nosuch.csv")


def test_from_the_command_line(store: FeatureStore) -> None:
    command = ["leakage", "--property", toy.PROPERTY, "--split", toy.SPLIT, "--store", store.uri]
    shown = CliRunner().invoke(train, command)
    assert shown.exit_code == 0
    assert "toy-004 and toy-000" in shown.stdout
    assert "were not compared" in shown.stderr
    assert len(CliRunner().invoke(train, [*command, "--format", "csv"]).stdout.splitlines()) == 13
