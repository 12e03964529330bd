"""JARVIS archives: what is read from whole ones, and what is said about broken ones."""

from __future__ import annotations

import gzip
import json
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest
from made_up_materials import atoms, entry, write_archive

from featurestore.crystal import Crystal
from featurestore.errors import InvalidInputError
from featurestore.failure import Failure
from ingest.sample import sample_archive
from ingest.structures import jarvis
from ingest.structures.jarvis import is_jarvis_archive, read_jarvis
from ingest.structures.records import MaterialRecord


def read(path: Path) -> list[MaterialRecord]:
    return list(read_jarvis(path))


@pytest.mark.parametrize("name", ["a.json", "a.json.zip"])
def test_records_in_their_order(tmp_path, name):
    entries = [entry(f"J-{i}", 4 + i, formula="CsCl", slme=i, note="na") for i in range(3)]
    records = read(write_archive(tmp_path / name, entries))
    assert [record.material_id for record in records] == ["J-0", "J-1", "J-2"]
    assert [dict(record.targets) for record in records] == [
        {"slme": i, "note": "na"} for i in range(3)
    ]
    assert {record.source_file for record in records} == {name}
    for number, record in enumerate(records):
        assert isinstance(record.structure, Crystal)
        assert record.structure.species == ("Cs", "Cl")
        np.testing.assert_array_equal(record.structure.lattice, np.eye(3) * (4 + number))
        np.testing.assert_array_equal(record.structure.frac_coords, [[0, 0, 0], [0.5, 0.5, 0.5]])


@pytest.mark.parametrize("chunk", [4, 7, 64, 10_000])
def test_any_chunk_size_gives_the_same_records(tmp_path, monkeypatch, chunk):
    entries = [entry(f"J-{i}", 4 + i / 7, text='tricky ] } \\" , [ é') for i in range(5)]
    path = tmp_path / "a.json"
    path.write_text(
        "\ufeff \n" + json.dumps(entries, indent=1, ensure_ascii=False) + "\n ", "utf-8"
    )
    monkeypatch.setattr(jarvis, "_CHUNK", chunk)
    assert [record.targets["text"] for record in read(path)] == [entries[0]["text"]] * 5


def test_cartesian_coordinates_are_converted(tmp_path):
    lattice = [[4.0, 0, 0], [1, 5, 0], [0.5, -0.5, 6]]
    fractional = np.array([[0.1, 0.2, 0.3], [0.6, 0.9, 0.45]])
    cartesian = (fractional @ np.array(lattice)).tolist()
    cells = [
        atoms(lattice_mat=lattice, coords=cartesian, cartesian=True),
        atoms(lattice_mat=lattice, coords=fractional.tolist()),
    ]
    path = write_archive(
        tmp_path / "a.json", [entry(f"J-{n}", cell=c) for n, c in enumerate(cells)]
    )
    first, second = (record.structure for record in read(path))
    np.testing.assert_allclose(first.frac_coords, fractional, atol=1e-12)
    assert first.structure_id == second.structure_id


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ({}, "lack 'lattice_mat'"),
        (None, "cannot be read"),
        ([1, 2], "cannot be read"),
        ("text", "cannot be read"),
        (atoms() | {"elements": None}, "cannot be read"),
        (atoms(lattice_mat=[[1, 0], [0, 1, 0]]), "cannot be read"),
        (atoms(lattice_mat="text"), "cannot be read"),
        (atoms(coords=[[0, 0, "x"], [0, 0, 0]]), "cannot be read"),
        (atoms(coords=[[0, 0], [0, 0]]), "cannot be read"),
        (atoms(lattice_mat=np.zeros((3, 3)).tolist(), cartesian=True), "cannot be read"),
    ],
)
def test_atoms_that_cannot_be_read_are_that_records_failure(tmp_path, cell, message):
    path = write_archive(
        tmp_path / "a.json", [entry("J-1"), {"jid": "J-2", "atoms": cell}, entry("J-3")]
    )
    first, broken, third = read(path)
    assert isinstance(broken.structure, Failure) and message in broken.structure.message
    assert broken.structure.error == "InvalidStructureError"
    assert isinstance(first.structure, Crystal) and isinstance(third.structure, Crystal)


def test_a_record_without_id_or_atoms_is_named_by_its_place(tmp_path):
    path = write_archive(tmp_path / "a.json", [entry("J-1"), {"atoms": atoms()}, {"jid": "J-3"}])
    records = read(path)
    assert [record.material_id for record in records] == ["J-1", "a.json[1]", "J-3"]
    assert isinstance(records[2].structure, Failure)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "empty list"),
        ("", "no JSON list"),
        ('{"jid": "J-1"}', "no JSON list"),
        ("[1, 2, 3]", "record 0 is no JSON object"),
        ('["a"]', "record 0 is no JSON object"),
        ('[{"a": 1, "b": 2}]', r"first record has keys \['a', 'b'\]"),
        ('[{"jid": "J-1"}]', "expected 'jid' and 'atoms'"),
        ('[{"jid": "J-1", "atoms": {}}, 3]', "record 1 is no JSON object"),
        ('[{"jid": "J-1", "atoms": {}}] [', "goes on after"),
        ('[{"jid": "J-1", "atoms": {}}', "breaks inside record 1"),
        ('[{"jid": "J-1", "atoms": {', "breaks inside record 0"),
        ('[{"jid": nonsense}]', "breaks inside record 0"),
        ('[{"jid": "J-1", "atoms": {}, "n": ' + "9" * 5000 + "}]", "4300"),
        ("[" * 100_000, "recursion"),
        ("<html>", "no JSON list"),
    ],
)
@pytest.mark.parametrize("name", ["a.json", "a.json.zip"])
def test_json_that_is_no_archive(tmp_path, name, text, message):
    path = tmp_path / name
    if name.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.json", text)
    else:
        path.write_text(text)
    with pytest.raises(InvalidInputError, match=message) as raised:
        read(path)
    assert str(path) in str(raised.value)


def test_text_in_another_encoding(tmp_path):
    (tmp_path / "a.json").write_bytes(b'[{"jid": "\xe5", "atoms": {}}]')
    with pytest.raises(InvalidInputError, match="not UTF-8"):
        read(tmp_path / "a.json")


def test_missing_files_and_folders(tmp_path):
    (tmp_path / "folder.json").mkdir()
    for name in ("missing.json", "missing.json.zip", "folder.json"):
        with pytest.raises(InvalidInputError, match=name):
            read(tmp_path / name)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.999])
def test_a_zip_cut_off(tmp_path, share):
    data = sample_archive().read_bytes()
    path = tmp_path / "a.json.zip"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InvalidInputError, match=r"a\.json\.zip is damaged.*fetch it again"):
        read(path)


@pytest.mark.parametrize("lost", [1, 1000, 40_000])
def test_a_zip_that_lost_a_piece_but_kept_its_end(tmp_path, lost):
    """As a download that was resumed at the wrong place: the directory at the end is whole."""
    data = sample_archive().read_bytes()
    (tmp_path / "a.json.zip").write_bytes(data[:30_000] + data[30_000 + lost :])
    with pytest.raises(InvalidInputError, match=r"a.json.zip"):
        read(tmp_path / "a.json.zip")


def test_a_wrong_checksum_is_found_before_the_first_record(tmp_path):
    """Stored without compression a changed digit decodes; only the checksum tells."""
    path = tmp_path / "a.json.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.json", json.dumps([entry(f"J-{i}", 4.25, slme=1) for i in range(50)]))
    data = path.read_bytes()
    position = data.rindex(b"4.25")
    path.write_bytes(data[:position] + b"9" + data[position + 1 :])
    with pytest.raises(InvalidInputError, match="Bad CRC-32"):
        next(iter(read_jarvis(path)))


def test_no_damage_raises_anything_else(tmp_path):
    """Random damage of every kind ends in a clear error or, where it hits nothing, in none."""
    data = sample_archive().read_bytes()
    generator = random.Random(0)
    path = tmp_path / "a.json.zip"
    for _ in range(150):
        spoilt = bytearray(data)
        where = generator.choice([len(spoilt), 60, len(spoilt)])
        for _ in range(3):
            near_end = generator.random() < 0.5
            place = -generator.randrange(1, 120) if near_end else generator.randrange(where)
            spoilt[place] = generator.randrange(256)
        path.write_bytes(spoilt)
        try:
            assert len(read(path)) == 70
        except InvalidInputError as error:
            assert "a.json.zip" in str(error)


@pytest.mark.parametrize("names", [[], ["readme.txt"], ["a.json", "b.json"]])
def test_a_zip_without_its_one_member(tmp_path, names):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in names:
            archive.writestr(name, json.dumps([entry("J-1")]))
    count = sum(name.endswith(".json") for name in names)
    with pytest.raises(InvalidInputError, match=f"holds {count} .json files"):
        read(tmp_path / "a.zip")


def test_a_zip_bomb_is_refused_unopened(tmp_path, monkeypatch):
    path = write_archive(tmp_path / "a.json.zip", [entry("J-1")])
    monkeypatch.setattr(jarvis, "_LONGEST_ARCHIVE", 10)
    with pytest.raises(InvalidInputError, match="would unpack to"):
        read(path)


def test_what_counts_as_an_archive(tmp_path):
    good = json.dumps([entry("J-1")])
    (tmp_path / "list.json").write_text(" \n" + good)
    (tmp_path / "list.json.gz").write_bytes(gzip.compress(good.encode()))
    (tmp_path / "object.json").write_text("{}")
    (tmp_path / "other.json").write_text('[{"name": "a"}]')
    write_archive(tmp_path / "LIST.json.zip", [entry("J-1")])
    for name, expected in {
        "list.json": True,
        "list.json.gz": True,
        "LIST.json.zip": True,
        "object.json": False,
        "other.json": False,
    }.items():
        assert is_jarvis_archive(tmp_path / name) == expected, name


def test_the_sample(tmp_path):
    records = read(sample_archive())
    assert len(records) == 70 and all(isinstance(record.structure, Crystal) for record in records)
