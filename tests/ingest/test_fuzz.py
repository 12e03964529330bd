"""Malformed input for every reader, and what a long run of the fuzzer has found."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from made_up_materials import atoms, entry, write_archive

from benchmarks import fuzz
from featurestore.errors import InvalidInputError
from featurestore.failure import Failure
from featurestore.registry import load_registry
from ingest.library.targets import opened_targets
from ingest.stages.folds import parse_parts
from ingest.stages.splits import read_split_file
from ingest.structures.analysis import analyse
from ingest.structures.jarvis import read_jarvis
from ingest.structures.sources import expand_sources, read_sources

HUGE = "9" * 5000  # Python refuses to convert so many digits


@pytest.mark.parametrize("name", fuzz.READERS)
@pytest.mark.filterwarnings("ignore")
def test_malformed_input_is_refused_or_finite(tmp_path, name):
    reader = fuzz.READERS[name]
    seeds = reader.seeds()
    if not name.endswith(".zip"):  # its seeds are what is packed
        assert {fuzz.outcome(reader, seed, tmp_path) for seed in seeds} == {"accepted"}
    outcomes = {
        number: fuzz.outcome(reader, fuzz.made_input(name, seeds, 1, number), tmp_path)
        for number in range(40)
    }
    wrong = {n: found for n, found in outcomes.items() if found not in ("accepted", "refused")}
    assert not wrong
    assert name == "encoder name" or "refused" in outcomes.values()


def test_the_fuzzer_notices_what_must_not_be(tmp_path):
    def outcome(read) -> str:
        return fuzz.outcome(fuzz.Reader(read, "a.csv", list, 1), b"", tmp_path)

    def raises(error: Exception):
        def read(path: Path) -> bool:
            raise error

        return read

    def infinite(path: Path) -> bool:
        fuzz._check_target(3)
        fuzz._finite([1.0, float("inf")], "a number")
        return True

    assert outcome(raises(KeyError("x"))).startswith("KeyError at test_fuzz.py")
    assert outcome(raises(InvalidInputError("no"))) == "does not name the file: no"
    assert outcome(raises(InvalidInputError("a.csv"))) == "refused"
    assert "no UTF-8" in outcome(raises(InvalidInputError("a.csv \ud800")))
    assert "not finite" in outcome(infinite)


def test_the_fuzzer_notices_a_reader_that_hangs(tmp_path, monkeypatch):
    def hang(path: Path) -> bool:
        while True:
            pass

    monkeypatch.setattr(fuzz, "SECONDS", 0.2)
    reader = fuzz.Reader(hang, "a.csv", list, 1)
    assert fuzz.outcome(reader, b"", tmp_path) == "took more than 0.2 s"


def read_one(path: Path) -> Failure:
    [record] = read_sources(expand_sources([str(path)]))
    assert record.source_file == path.name
    assert isinstance(record.structure, Failure)
    return record.structure


@pytest.mark.parametrize("key", ["lattice_mat", "coords"])
def test_a_number_too_large_for_a_float_fails_one_material(tmp_path, key):
    broken = entry("b", cell=atoms(**{key: [[10**400, 0, 0]] * 3}))
    _, record = read_jarvis(write_archive(tmp_path / "a.json", [entry("a"), broken]))
    assert isinstance(record.structure, Failure)
    assert "too large" in record.structure.message


def test_a_cell_whose_volume_is_no_number_is_refused(tmp_path):
    [record] = read_jarvis(write_archive(tmp_path / "a.json", [entry("a", 1e200)]))
    found = analyse(record.structure)
    assert isinstance(found, Failure)
    assert "volume" in found.message


def test_damage_to_an_lzma_archive_names_the_file(tmp_path):
    path = tmp_path / "a.json.zip"
    text = json.dumps([entry(f"J-{n}") for n in range(50)])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.json", text)
    data = bytearray(path.read_bytes())
    data[60:90] = bytes(30)
    path.write_bytes(data)
    with pytest.raises(InvalidInputError, match=r"a\.json\.zip is damaged"):
        list(read_jarvis(path))


@pytest.mark.parametrize(
    "broken",
    [
        entry("J-\ud800"),
        entry("J-1", **{"\ud800": 1}),
        entry("J-1", cell=atoms(elements=["Cs", "\ud800"])),
    ],
    ids=["id", "field", "element"],
)
def test_half_a_surrogate_pair_fails_one_material(tmp_path, broken):
    path = write_archive(tmp_path / "a.json", [entry("J-0"), broken])
    _, record = read_jarvis(path)
    assert isinstance(record.structure, Failure)
    (record.material_id + record.structure.message).encode()


@pytest.mark.parametrize("name", ["a.vasp", "POSCAR"])
def test_a_poscar_that_announces_sites_it_has_not(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(fuzz._POSCAR.replace(b"1 2\n", b"1000000000 2\n"))
    assert read_one(path).message == f"{name}: the file announces 1000000002 sites and has 12 lines"


def test_an_unknown_column_names_the_file(tmp_path):
    path = tmp_path / "targets.csv"
    path.write_text("id,sleme\na,1\n", "utf-8")
    with pytest.raises(
        InvalidInputError, match=r"targets\.csv: no column is a known property \('sleme'\)"
    ):
        opened_targets(path, load_registry())


@pytest.mark.parametrize(
    "text",
    [
        f'[a]\nunit = "1"\nrange = [0, {"9" * 400}]',
        f'[a]\nunit = "1"\nrange = [0, {HUGE}]',
        '[a]\nunit = "1"\nrange = [-inf, 1]',
        '[a]\nunit = "1"\nrange = [0, nan]',
        "a = " + "[" * 100_000,
    ],
    ids=["400 digits", "5000 digits", "infinite", "NaN", "deep"],
)
def test_a_registry_of_another_form_names_the_file(tmp_path, text):
    path = tmp_path / "more.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(InvalidInputError, match=r"more\.toml"):
        load_registry(path)


@pytest.mark.parametrize(
    "text",
    [
        '{"id_train": ["a"], "id_train": ["b"], "id_val": ["c"], "id_test": ["d"]}',
        '{"id_train": ["\\ud800"], "id_val": ["c"], "id_test": ["d"]}',
        '{"id_train": ' + "[" * 100_000,
        '{"id_train": [' + HUGE,
    ],
    ids=["doubled key", "half a surrogate pair", "deep", "5000 digits"],
)
def test_a_split_file_of_another_form_names_the_file(tmp_path, text):
    path = tmp_path / "split.json"
    path.write_text(text, "utf-8")
    with pytest.raises(InvalidInputError, match=r"split\.json"):
        read_split_file(path)


@pytest.mark.parametrize("text", ["²/1/1", f"{HUGE}/1/1", "8/1/0", "8/-1/1", "٣/1/1"])
def test_fractions_are_plain_whole_numbers(text):
    with pytest.raises(InvalidInputError, match="train/val/test"):
        parse_parts(text)


def test_an_ase_array_of_another_shape_than_its_data_is_not_allocated(tmp_path):
    path = tmp_path / "a.json"
    arrays = {
        "cell": {"array": {"__ndarray__": [[3, 3], "float64", [3.0, 0, 0, 0, 3.0, 0, 0, 0, 3.0]]}},
        "numbers": {"__ndarray__": [[1], "int64", [11]]},
        "pbc": {"__ndarray__": [[3], "bool", [True, True, True]]},
        "positions": {"__ndarray__": [[999_999_999, 3], "float64", [0.0, 0.0, 0.0]]},
    }
    arrays["cell"]["__ase_objtype__"] = "cell"
    path.write_text(json.dumps({"1": arrays, "ids": [1], "nextid": 2}))
    assert "shape [999999999, 3] and has 3 values" in read_one(path).message
    arrays["positions"] = {"__ndarray__": [[1, 3], "float64", [0.0, 0.0, 0.0]]}
    path.write_text(json.dumps({"1": arrays, "ids": [1], "nextid": 2}))
    [record] = read_sources(expand_sources([str(path)]))
    assert record.structure.species == ("Na",)
