"""The first stage: materials and targets in the store, what is refused counted and on record."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from made_up_materials import Silent, atoms, crystal, entry, ingest, rows, write_archive
from structure_texts import cif, poscar

from featurestore.crystal import Crystal
from featurestore.errors import InvalidInputError
from featurestore.failure import Failure
from featurestore.quality.reading import check_reading
from featurestore.registry import load_registry
from featurestore.store import FeatureStore
from featurestore.stored_structures import stored_crystals
from featurestore.tables.runs import Run
from ingest.pipeline.interruption import Interruption
from ingest.stages.structures import ingest_structures
from ingest.structures import analysis
from ingest.structures.ids import IdRule
from ingest.structures.records import MaterialRecord
from ingest.structures.sources import expand_sources, read_sources
from ingest.targets.cells import parse_target


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore.open(tmp_path / "store", create=True)


@pytest.fixture
def archive(tmp_path: Path):
    def write(*entries: object) -> Path:
        return write_archive(tmp_path / "a.json.zip", entries)

    return write


def failures(store: FeatureStore, stage: str) -> dict[str, tuple[str, str]]:
    found = store.sql("FROM failures WHERE stage = ?", [stage]).to_pylist()
    assert {row["context"] for row in found} <= {"d"}
    return {row["item"]: (row["error"], row["message"]) for row in found}


def test_a_material_with_everything_about_it(store, archive):
    materials, targets = ingest(
        store, archive(entry("J-1", mbj_bandgap=1.5, ehull="0.25", slme="na", note="x"))
    )
    assert (materials.written, targets.written) == (1, 2)
    assert rows(store, "materials") == [
        {
            "material_id": "J-1",
            "structure_id": crystal().structure_id,
            "dataset": "d",
            "source_file": "a.json.zip",
            "formula": "CsCl",
            "formula_alphabetical": "ClCs",
            "elements": ["Cl", "Cs"],
            "chemsys": "Cl-Cs",
            "prototype": "AB",
            "n_atoms": 2,
            "volume": pytest.approx(64.0),
            "space_group_number": 221,
            "space_group": "Pm-3m",
            "crystal_system": "cubic",
            "point_group": "m-3m",
            "lattice": [4.0, 0, 0, 0, 4.0, 0, 0, 0, 4.0],
            "species": ["Cs", "Cl"],
            "frac_coords": [0.0, 0, 0, 0.5, 0.5, 0.5],
            "notes": None,
        }
    ]
    base = {"material_id": "J-1", "source": "d"}
    assert rows(store, "properties") == [
        base | {"property": "ehull", "value": 0.25, "unit": "eV/atom"},
        base | {"property": "mbj_bandgap", "value": 1.5, "unit": "eV"},
    ]
    assert targets.notes == ["fields that the property registry does not know: note"]
    with store.session() as session:
        [(_, back)] = stored_crystals(session, [crystal().structure_id])
    assert back.structure_id == crystal().structure_id


def test_coordinates_are_stored_wrapped_into_the_cell(store, archive):
    moved = atoms(coords=[[3.0, -1.0, 0.0], [0.5, -3.5, 7.5]])
    path = archive(entry("moved", cell=moved), entry("plain"))
    ingest(store, path)
    stored = store.sql("SELECT structure_id, frac_coords FROM materials").to_pylist()
    assert stored[0] == stored[1]
    assert stored[0]["frac_coords"] == [0.0, 0.0, 0.0, 0.5, 0.5, 0.5]


def test_a_repeated_run_changes_nothing(store, archive):
    path = archive(*(entry(f"J-{i}", 4 + i, slme=i) for i in range(5)))
    ingest(store, path)
    with store.session() as session:
        before = session.versions
    materials, targets = ingest(store, path, "again")
    assert (materials.written, materials.present, len(materials.failures)) == (0, 5, 0)
    assert (targets.written, targets.present) == (0, 5)
    with store.session() as session:
        assert session.versions == before


_REFUSALS = {"InvalidStructureError", "OverlapError", "UnknownElementError"}


def test_bad_structures_are_counted_and_the_others_written(store, archive):
    bad = {
        "overlap": (atoms(coords=[[0, 0, 0], [0.99, 0, 0]]), "overlapping atoms"),
        "flat": (atoms(lattice_mat=[[4, 0, 0], [0, 4, 0], [4, 4, 0]]), "zero volume"),
        "unknown": (atoms(elements=["Cs", "Xx"]), "unknown element 'Xx'"),
        "none": (atoms(elements=[], coords=[]), "no atoms"),
        "ragged": (atoms(coords=[[0, 0, 0]]), "for 2 species"),
        "nan": (atoms(coords=[[0, 0, 0], [0.5, float("nan"), 0.5]]), "NaN"),
        "broken": ("text", "cannot be read"),
    }
    entries = [entry(name, cell=cell, slme=1.0) for name, (cell, _) in bad.items()]
    materials, targets = ingest(store, archive(*entries, entry("good", slme=2.0)))
    assert (materials.written, targets.written) == (1, 1)
    found = failures(store, "structures")
    assert set(found) == set(bad)
    for name, (error, message) in found.items():
        assert error in _REFUSALS and bad[name][1] in message, name
    lines = materials.summary()
    assert lines[0] == "materials: 1 written, 0 already there, 7 failed"
    assert lines[1].startswith(
        "  5 × InvalidStructureError, for example flat: a.json.zip: the cell has"
    )
    assert {line.split()[2] for line in lines[2:4]} == {"OverlapError,", "UnknownElementError,"}


def test_a_mended_structure_clears_its_failure(store, archive):
    ingest(store, archive(entry("a", cell=atoms(elements=["X", "Cl"])), entry("b", cell=[])))
    assert set(failures(store, "structures")) == {"a", "b"}
    ingest(store, archive(entry("a")))
    assert set(failures(store, "structures")) == {"b"}


def test_a_duplicate_id_with_the_same_structure_is_no_failure(store, archive):
    materials, targets = ingest(
        store, archive(entry("a", slme=1), entry("b", 5), entry("a", slme=1))
    )
    assert (materials.written, materials.present, materials.failures) == (2, 1, {})
    assert (targets.written, targets.present) == (1, 1)


@pytest.mark.parametrize("replace", [False, True])
def test_a_duplicate_id_with_another_structure_in_one_source(store, archive, replace):
    path = archive(entry("a", 4.0, slme=1), entry("b", 6.0), entry("a", 5.0, slme=2))
    materials, _ = ingest(store, path, replace=replace)
    assert materials.written == 2
    error, message = failures(store, "structures")["a"]
    assert error == "ConflictError"
    assert "material a of a.json.zip has another structure" in message
    assert message.endswith("give it another id (--id-from path)")
    assert {row["material_id"]: row["volume"] for row in rows(store, "materials")} == {
        "a": pytest.approx(64.0),
        "b": pytest.approx(216.0),
    }
    assert [row["value"] for row in rows(store, "properties")] == [1.0]


def test_a_bad_structure_does_not_take_its_id_from_a_good_one(store, archive):
    materials, _ = ingest(store, archive(entry("a", cell=atoms(elements=["X", "Y"])), entry("a")))
    assert materials.written == 1
    assert "unknown element" in materials.failures["a"].message


def test_another_structure_than_the_stores(store, archive):
    ingest(store, archive(entry("a", 4.0, slme=1)))
    materials, targets = ingest(store, archive(entry("a", 5.0, slme=2)))
    assert (materials.written, targets.written) == (0, 0)
    assert materials.failures["a"].error == "ConflictError"
    assert "replace that with the same command and --replace" in materials.failures["a"].message
    assert rows(store, "materials")[0]["volume"] == pytest.approx(64.0)
    materials, targets = ingest(store, archive(entry("a", 5.0, slme=2)), replace=True)
    assert (materials.written, targets.written) == (1, 1)
    assert rows(store, "materials")[0]["volume"] == pytest.approx(125.0)
    assert rows(store, "properties")[0]["value"] == 2.0
    assert failures(store, "structures") == {}


def test_another_target_than_the_stores(store, archive):
    ingest(store, archive(entry("a", slme=1)))
    _, targets = ingest(store, archive(entry("a", slme=2)))
    assert targets.written == 0
    error, message = failures(store, "targets")["a slme"]
    assert error == "ConflictError" and "in the store already" in message
    assert rows(store, "properties")[0]["value"] == 1.0
    _, targets = ingest(store, archive(entry("a", slme=2)), replace=True)
    assert targets.written == 1
    assert rows(store, "properties")[0]["value"] == 2.0
    assert failures(store, "targets") == {}


def test_one_target_twice_in_a_source(store, archive):
    _, targets = ingest(store, archive(entry("a", slme=1), entry("a", slme=2), entry("a", slme=1)))
    assert (targets.written, targets.present) == (1, 1)
    assert "twice in the source" in failures(store, "targets")["a slme"][1]


@pytest.mark.parametrize(
    ("value", "parsed"),
    [
        (1, 1.0),
        (-2.5, -2.5),
        ("3.5e-2", 0.035),
        (" 4 ", 4.0),
        ("na", None),
        (" NA ", None),
        ("", None),
        (None, None),
        ("NaN", "is not finite"),
        (float("nan"), "is not finite"),
        (float("inf"), "is not finite"),
        ("-Infinity", "is not finite"),
        ("1e999", "is not finite"),
        (10**400, "is no number"),
        ("n/a", "stands for no value"),
        ("1,5", "--decimal comma"),
        (True, "truth value"),
        ([1.0], "is no number"),
        ({"value": 1}, "is no number"),
    ],
)
def test_targets_are_finite_numbers_missing_or_refused(value, parsed):
    found = parse_target(value)
    if isinstance(parsed, str):
        assert isinstance(found, Failure)
        assert found.error == "InvalidTarget" and parsed in found.message
    else:
        assert found == parsed


def test_refused_targets_are_counted_with_their_material(store, archive):
    values = {"slme": "text", "ehull": float("nan"), "mbj_bandgap": [1], "spillage": True}
    _, targets = ingest(store, archive(entry("a", **values, magmom_oszicar=2, Tc_supercon="na")))
    assert (targets.written, len(targets.failures)) == (1, 4)
    assert set(failures(store, "targets")) == {f"a {name}" for name in values}
    _, targets = ingest(store, archive(entry("a", slme=3)))
    assert set(failures(store, "targets")) == {f"a {name}" for name in values if name != "slme"}


def test_failures_before_the_damage_are_on_record(store, tmp_path, monkeypatch):
    monkeypatch.setattr("ingest.stages.structures._BATCH", 2)
    path = write_archive(
        tmp_path / "a.json", [entry("a"), entry("b", cell=[]), entry("c", 5), entry("d", 6)]
    )
    path.write_text(path.read_text()[:-60])
    with pytest.raises(InvalidInputError, match="record 3"):
        ingest(store, path)
    assert [row["material_id"] for row in rows(store, "materials")] == ["a"]
    assert set(failures(store, "structures")) == {"b"}


def test_batches_make_no_difference(tmp_path, archive, monkeypatch):
    entries = [entry(f"J-{i % 9}", 4 + i % 7, slme=i % 5) for i in range(30)]
    entries += [entry("bad", cell=[]), entry("J-1", 4, ehull="x")]
    found = []
    for size in (1, 7, 2000):
        monkeypatch.setattr("ingest.stages.structures._BATCH", size)
        store = FeatureStore.open(tmp_path / f"store-{size}", create=True)
        ingest(store, archive(*entries))
        found.append([rows(store, name) for name in ("materials", "properties")])
        assert set(failures(store, "structures")) > {"bad"}
    assert found[0] == found[1] == found[2]


def test_many_batches_do_not_leave_many_fragments(store, archive, monkeypatch):
    monkeypatch.setattr("ingest.stages.structures._BATCH", 1)
    ingest(store, archive(*(entry(f"J-{i}", 4 + i, slme=i) for i in range(12))))
    with store.session() as session:
        for table in ("materials", "properties"):
            assert len(session.dataset(table).get_fragments()) == 1
            assert session.dataset(table).count_rows() == 12


def test_workers_give_what_one_process_gives(store, archive, tmp_path, monkeypatch):
    entries = [entry(f"J-{i}", 4 + i / 100) for i in range(30)] + [entry("bad", cell=atoms(0.3))]
    monkeypatch.setattr(analysis, "_ENOUGH_FOR_WORKERS", 10)
    monkeypatch.setattr(analysis, "_STRUCTURES_A_TASK", 7)
    ingest(store, archive(*entries))
    monkeypatch.setattr(analysis, "_ENOUGH_FOR_WORKERS", 1000)
    single = FeatureStore.open(tmp_path / "single", create=True)
    ingest(single, archive(*entries))
    for table in ("materials", "failures"):
        assert rows(store, table) == rows(single, table)


def test_an_unreadable_file_is_a_counted_failure(store):
    records = [
        MaterialRecord("a", Failure("CifError", "line 3 is odd"), source_file="a.cif"),
        MaterialRecord("b", crystal(), source_file="b.cif"),
    ]
    progress = Silent()
    materials, _ = ingest_structures(
        store,
        iter(records),
        dataset="d",
        registry=load_registry(),
        run=Run("r"),
        progress=progress,
        workers=1,
    )
    assert (materials.written, progress.done) == (1, 2)
    assert failures(store, "structures") == {"a": ("CifError", "line 3 is odd")}


def ingest_folder(store: FeatureStore, folder: Path, **options: object):
    return ingest_structures(
        store,
        read_sources(expand_sources([str(folder)])),
        dataset="d",
        registry=load_registry(),
        run=Run("run"),
        progress=Silent(),
        workers=1,
        **options,
    )


def test_notes_stay_with_the_material_and_are_counted(store, tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "plain.vasp").write_text(poscar())
    (folder / "old.vasp").write_text(poscar("CsCl", species=None, lattice="5 0 0\n0 5 0\n0 0 5"))
    (folder / "README.md").write_text("text")
    (folder / "run.log").write_text("text")
    (folder / "bad.vasp").write_text(poscar(species=None))
    materials, _ = ingest_folder(store, folder)
    assert (materials.written, len(materials.failures)) == (2, 1)
    assert materials.counts()["noted"] == 1 and materials.counts()["not_structures"] == 2
    shown = "\n".join(materials.summary())
    assert "1 stored with a note on species, for example old" in shown
    assert "2 files are no structure files, for example README.md" in shown
    assert set(failures(store, "structures")) == {"bad"}  # no failure of a README
    notes = {row["material_id"]: row["notes"] for row in rows(store, "materials")}
    assert notes["plain"] is None and notes["old"][0].startswith("species: the file has no line")
    with store.session() as session:
        [finding] = check_reading(session)
    assert (finding.check, finding.material_id, finding.subject) == (
        "note on reading",
        "old",
        "old.vasp",
    )
    [row] = store.sql(
        "SELECT material_id FROM materials WHERE list_contains(notes, ?)", [notes["old"][0]]
    ).to_pylist()
    assert row["material_id"] == "old"


def test_a_space_group_that_is_not_the_atoms_is_noted(store, tmp_path):
    text = cif("Cs1 Cs 0 0 0 1", "Cl1 Cl .5 .5 .5 1", symbol="P 4/m m m")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.cif").write_text(text)
    (tmp_path / "files" / "b.cif").write_text(text.replace("P 4/m m m", "P 1").replace("4.0", "5"))
    ingest_folder(store, tmp_path / "files")
    first, second = rows(store, "materials")
    assert first["space_group_number"] == 221
    assert any("states number 123, its atoms have 221" in note for note in first["notes"])
    assert not any("space group:" in note for note in second["notes"])


def test_two_files_of_one_id_are_both_counted_and_named(store, tmp_path):
    folder = tmp_path / "files"
    for number in (1, 2, 3):
        (folder / f"run{number}").mkdir(parents=True)
        (folder / f"run{number}" / f"mp-7_{number}.vasp").write_text(
            poscar(lattice=f"4 0 0\n0 4 0\n0 0 {3 + number}")
        )
    (folder / "run3" / "mp-7_3.vasp").write_text("broken")
    found = read_sources(expand_sources([str(folder)]), IdRule.parse("regex:mp-7"))
    materials, _ = ingest_structures(
        store,
        found,
        dataset="d",
        registry=load_registry(),
        run=Run("run"),
        progress=Silent(),
        workers=1,
    )
    assert materials.written == 1 and len(materials.failures) == 2
    messages = [failure.message for failure in materials.failures.values()]
    assert "run2/mp-7_2.vasp has another structure than the one of run1/mp-7_1.vasp" in messages[0]
    assert messages[0].endswith("; give it another id (--id-from path)")
    assert messages[1].startswith("run3/mp-7_3.vasp: ")
    assert set(failures(store, "structures")) == {"mp-7", "mp-7 (run3/mp-7_3.vasp)"}


def test_a_store_of_an_earlier_schema_takes_notes(store, archive, tmp_path):
    ingest(store, archive(entry("a")))
    store.dataset("materials").drop_columns(["notes"])
    with store.session() as session:
        assert list(check_reading(session)) == []
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "old.vasp").write_text(poscar("CsCl", species=None, scale="1.1"))
    ingest_folder(store, tmp_path / "files")
    assert [row["notes"] is None for row in rows(store, "materials")] == [True, False]


def hang(crystal: Crystal) -> None:
    time.sleep(60)


def test_a_large_cell_that_takes_too_long_is_one_failure(store, tmp_path, monkeypatch):
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "small.vasp").write_text(poscar())
    (folder / "large.vasp").write_text(poscar(lattice="5 0 0\n0 5 0\n0 0 5"))
    monkeypatch.setattr(analysis, "LARGE_CELL", 1)
    materials, _ = ingest_folder(store, folder)
    assert materials.written == 2
    monkeypatch.setattr(analysis, "SECONDS_A_LARGE_CELL", 0.5)
    monkeypatch.setattr(analysis, "analyse", hang)
    (folder / "other.vasp").write_text(poscar(lattice="6 0 0\n0 6 0\n0 0 6"))
    materials, _ = ingest_folder(store, folder)
    assert (materials.written, materials.present) == (0, 2)
    error, message = failures(store, "structures")["other"]
    assert error == "TimeLimit" and "finding the symmetry of its 2 atoms took more than" in message


def test_ctrl_c_writes_what_has_been_read(store, monkeypatch):
    asked = threading.Event()
    ask = Interruption._ask

    def and_say(self, *arguments):
        ask(self, *arguments)
        asked.set()

    def records():
        for number in range(5):
            if number == 3:
                os.kill(os.getpid(), signal.SIGINT)
                assert asked.wait(60)
            yield MaterialRecord(f"m{number}", crystal(4.0 + number / 10))

    monkeypatch.setattr(Interruption, "_ask", and_say)
    with pytest.raises(KeyboardInterrupt, match="4 materials written"):
        ingest_structures(
            store,
            records(),
            dataset="d",
            registry=load_registry(),
            run=Run("r"),
            progress=Silent(),
            workers=1,
        )
    assert [row["material_id"] for row in rows(store, "materials")] == ["m0", "m1", "m2", "m3"]
