"""A structure file runs nothing, and whatever is read has limits."""

from __future__ import annotations

import builtins
import gzip
import importlib
import io
import json
import os
import pickle
import sqlite3
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structure_texts import cif, poscar, records, refused, rock_salt, stored
from tiers import few

from featurestore.crystal import Crystal
from featurestore.failure import Failure
from ingest.structures import archives, opening
from ingest.structures.files import read_structure_file
from ingest.structures.readers import ase_database
from ingest.structures.sources import expand_sources, read_sources

TRAP = "structure_file_trap"


def structure(**site: Any) -> dict[str, Any]:
    """A pymatgen structure of one sodium atom, with more in its site."""
    return {
        "@module": "pymatgen.core.structure",
        "@class": "Structure",
        "lattice": {"matrix": [[4, 0, 0], [0, 4, 0], [0, 0, 4]]},
        "sites": [{"species": [{"element": "Na", "occu": 1}], "abc": [0, 0, 0]} | site],
    }


def named(module: str = TRAP, name: str = "Trap", **more: Any) -> dict[str, Any]:
    return {"@module": module, "@class": name, "@callable": name, "@bound": None} | more


class _Evil:
    def __reduce__(self) -> Any:
        return importlib.import_module, (TRAP,)


def ase_rows(**changes: Any) -> bytes:
    """An ASE data base of one row."""
    blobs = {
        "numbers": np.array([11], "<i4").tobytes(),
        "positions": np.zeros(3, "<f8").tobytes(),
        "cell": (np.eye(3) * 4).astype("<f8").tobytes(),
        "pbc": 7,
        "constraints": json.dumps([{"name": TRAP, "kwargs": {}}]),
        "calculator": TRAP,
        "data": pickle.dumps(_Evil()),
    } | changes
    connection = sqlite3.connect(":memory:")
    connection.execute(f"CREATE TABLE systems (id INTEGER PRIMARY KEY, {', '.join(blobs)})")
    connection.execute(
        f"INSERT INTO systems ({', '.join(blobs)}) VALUES ({', '.join('?' * len(blobs))})",
        list(blobs.values()),
    )
    connection.commit()
    return bytes(connection.serialize())


HOSTILE = {
    "properties.json": json.dumps(structure(properties={"magmom": named()})),
    "species.json": json.dumps(
        structure(species=[{"element": "Na", "occu": 1, "properties": named()}])
    ),
    "lattice.json": json.dumps(structure() | {"lattice": named(matrix=(np.eye(3) * 4).tolist())}),
    "itself.json": json.dumps(structure() | named()),
    "beside.json": json.dumps({"structure": structure(), "calc": named("os", "system")}),
    "list.json": json.dumps([structure(label=named()), named()]),
    "lines.jsonl": json.dumps(structure(properties=named())),
    "packed.json.gz": gzip.compress(json.dumps(structure(properties=named())).encode()),
    "ase.json": json.dumps(
        {
            "1": {
                "cell": {"array": (np.eye(3) * 4).tolist(), "__ase_objtype__": TRAP},
                "numbers": [11],
                "pbc": [True] * 3,
                "positions": [[0, 0, 0]],
                "constraints": [{"name": TRAP, "kwargs": {}}],
                "calculator": TRAP,
                "data": {"__ase_objtype__": TRAP},
            },
            "ids": [1],
        }
    ),
    "ase.db": ase_rows(),
    "frames.extxyz": '1\nLattice="4 0 0 0 4 0 0 0 4" '
    f'calculator={TRAP} a=_JSON{{"@module":"{TRAP}"}}\nNa 0 0 0\n',
    "pickle.json": pickle.dumps(_Evil()),
    "pickle.cif": pickle.dumps(_Evil()),
    "pickle": pickle.dumps(_Evil()),
    "POSCAR": poscar(TRAP),
    "a.cif": rock_salt(more=f"_py !!python/object/apply:{TRAP}.run"),
    "a.yaml": f"lattice: !!python/module:{TRAP}\nsites: []\n",
}


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """A module that leaves a file behind when anything imports it."""
    (tmp_path / "path").mkdir()
    mark = tmp_path / "imported"
    code = f"open({str(mark)!r}, 'w').close()\nclass Trap:\n    pass\n"
    (tmp_path / "path" / f"{TRAP}.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path / "path"))
    yield mark
    sys.modules.pop(TRAP, None)


def test_the_trap_notices_an_import(trap):
    importlib.import_module(TRAP)
    assert trap.exists()


@pytest.mark.parametrize("name", HOSTILE)
def test_no_reader_resolves_a_name_of_the_input(tmp_path, trap, monkeypatch, name):
    """Neither by import nor by any decoder or pickle, whether the file is read or refused."""
    import ase.io.jsonio
    import monty.json

    data = HOSTILE[name]
    content = data if isinstance(data, bytes) else data.encode()
    records(tmp_path, "warm-" + name.replace("POSCAR", "a.vasp"), content)  # what readers import
    asked: list[str] = []
    plain_import, plain_module = builtins.__import__, importlib.import_module

    def importing(wanted: str, *rest: Any, **more: Any) -> Any:
        asked.append(wanted)
        return plain_import(wanted, *rest, **more)

    def importing_module(wanted: str, *rest: Any) -> Any:
        asked.append(wanted)
        return plain_module(wanted, *rest)

    def poisoned(*args: Any, **more: Any) -> Any:
        raise AssertionError("a decoder that builds classes by name was called")

    monkeypatch.setattr(builtins, "__import__", importing)
    monkeypatch.setattr(importlib, "import_module", importing_module)
    for module, attribute in (
        (monty.json.MontyDecoder, "process_decoded"),
        (monty.json.MontyDecoder, "decode"),
        (ase.io.jsonio, "create_ase_object"),
        (ase.io.jsonio, "object_hook"),
        (pickle, "loads"),
        (pickle, "load"),
        (pickle, "Unpickler"),
        (np, "load"),
    ):
        monkeypatch.setattr(module, attribute, poisoned)
    found = records(tmp_path, name, content)
    assert found and not trap.exists() and TRAP not in sys.modules
    assert not [wanted for wanted in asked if TRAP in wanted]
    messages = [one.structure.message for one in found if isinstance(one.structure, Failure)]
    assert not [message for message in messages if "was called" in message]


def test_what_is_plain_in_a_hostile_file_is_read(tmp_path):
    for name in ("properties.json", "packed.json.gz", "ase.json", "ase.db", "frames.extxyz"):
        data = HOSTILE[name]
        record = stored(tmp_path, name, data)
        assert isinstance(record.structure, Crystal) and record.structure.species == ("Na",)


# Kinds and sizes of files.


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
@pytest.mark.parametrize("name", ["a.cif", "POSCAR", "a.json", "a.json.zip", "a.tar", "a.db"])
def test_a_fifo_or_device_is_not_opened(tmp_path, name):
    os.mkfifo(tmp_path / name)
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / name).symlink_to("/dev/zero")
    (tmp_path / "link" / f"nothing-{name}").symlink_to("nowhere")
    (tmp_path / "good.cif").write_text(rock_salt())
    found = {one.source_file: one.structure for one in folder(tmp_path)}
    assert isinstance(found.pop("good.cif"), Crystal)
    words = {name: "a FIFO", f"link/{name}": "a link to a device"}
    words[f"link/nothing-{name}"] = "a link to nothing"
    assert set(found) == set(words)
    for source, failure in found.items():
        assert isinstance(failure, Failure) and words[source] in failure.message
    assert "a FIFO" in read_structure_file(tmp_path / name)[0].structure.message


def folder(path: Path, **options: Any) -> list[Any]:
    return list(read_sources(expand_sources([str(path)]), **options))


@pytest.mark.parametrize("name", ["bomb.cif.gz", "bomb.json.gz", "POSCAR.gz", "bomb"])
def test_a_file_that_unpacks_to_too_much(tmp_path, monkeypatch, name):
    monkeypatch.setattr(opening, "LARGEST_FILE", 1 << 16)
    [record] = records(tmp_path, name, gzip.compress(b"data_ _cell_length_a\n" + b" " * (1 << 20)))
    assert "more than 65,536 bytes, unpacked" in record.structure.message


def test_a_cif_of_a_million_sites(tmp_path):
    sites = "\n".join(["Na1 Na 0.1 0.2 0.3 1"] * 1_000_000)
    failure = refused(tmp_path, "a.cif", cif(sites))
    assert failure.error == "LimitError" and "1,000,000 sites" in failure.message


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.vasp", poscar(counts="1000000000 1")),
        ("a.vasp", poscar(species="Cs", counts="6000", sites="0 0 0\n" * 6000)),
        ("a.xyz", "1000000000\n\nNa 0 0 0\n"),
        ("a.json", json.dumps(structure() | {"sites": structure()["sites"] * 6000})),
        ("b.cif", cif("Na1 Na .1 .2 .3 1", symbol="F m -3 m", cell=(4,) * 3 + (90,) * 3) * 1),
        ("a.cif", cif(*(f"H{n} H .{n} .2 .3 1" for n in range(100, 140)), symbol="F m -3 m")),
    ],
)
def test_cells_of_too_many_atoms(tmp_path, name, text):
    failure = refused(tmp_path, name, text)
    assert failure.error in ("LimitError", "UnreadableFileError", "OverlapError", "DensityError")


def test_a_damaged_or_hostile_data_base(tmp_path, monkeypatch):
    good = ase_rows()
    assert "cannot be read" in refused(tmp_path, "a.db", good[: len(good) // 2]).message
    assert "another length" in refused(tmp_path, "b.db", ase_rows(cell=b"12345678")).message
    assert (
        "no atomic number"
        in refused(tmp_path, "c.db", ase_rows(numbers=np.array([999], "<i4").tobytes())).message
    )
    assert "three directions" in refused(tmp_path, "d.db", ase_rows(pbc=3)).message
    connection = sqlite3.connect(":memory:")
    connection.execute(
        "CREATE VIEW systems AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) "
        "SELECT id, NULL AS numbers, NULL AS positions, NULL AS cell, 7 AS pbc FROM n"
    )
    endless = bytes(connection.serialize())
    assert "no table 'systems'" in refused(tmp_path, "e.db", endless).message
    monkeypatch.setattr(ase_database, "_MOST_STEPS", 0)
    many = sqlite3.connect(":memory:")
    many.execute("CREATE TABLE systems (id INTEGER, numbers, positions, cell, pbc)")
    many.executemany("INSERT INTO systems VALUES (?, 1, 1, 1, 1)", ((n,) for n in range(5000)))
    many.commit()
    assert "interrupted" in refused(tmp_path, "f.db", bytes(many.serialize())).message
    assert folder_of(tmp_path, "Thumbs.db", b"no data base") == ["NotAStructure"]


def folder_of(path: Path, name: str, data: bytes) -> list[str]:
    return [one.structure.error for one in records(path, name, data)]


# Archives.


def test_members_of_archives(tmp_path):
    members = {
        "run1/POSCAR": poscar(),
        "run2/POSCAR": poscar(lattice="5 0 0\n0 5 0\n0 0 5"),
        "a.cif": rock_salt(),
        "README.md": "# nothing",
        "deep/inner.zip": "PK",
        ".hidden.cif": rock_salt(),
    }
    with zipfile.ZipFile(tmp_path / "files.zip", "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    for name, mode in (("files.tar", "w"), ("files.tar.gz", "w:gz"), ("files.TAR.XZ", "w:xz")):
        with tarfile.open(tmp_path / name, mode) as tar:
            for member, text in members.items():
                info = tarfile.TarInfo(member)
                info.size = len(text)
                tar.addfile(info, io.BytesIO(text.encode()))
    for name in ("files.zip", "files.tar", "files.tar.gz", "files.TAR.XZ"):
        found = {
            one.material_id: one for one in read_sources(expand_sources([str(tmp_path / name)]))
        }
        good = {key for key, one in found.items() if isinstance(one.structure, Crystal)}
        assert good == {"run1/POSCAR", "run2/POSCAR", "a"}, name
        assert found["README.md"].structure.error == "NotAStructure"
        assert "an archive in an archive" in found["inner.zip"].structure.message
        assert found["a"].source_file == f"{name}/a.cif"


def test_a_tar_with_links_and_devices(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, kind in (
            ("link.cif", tarfile.SYMTYPE),
            ("hard.cif", tarfile.LNKTYPE),
            ("device.cif", tarfile.CHRTYPE),
            ("fifo.cif", tarfile.FIFOTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "../../etc/passwd"
            tar.addfile(info)
        info = tarfile.TarInfo("../../outside.cif")
        info.size = len(rock_salt())
        tar.addfile(info, io.BytesIO(rock_salt().encode()))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        link = zipfile.ZipInfo("link.cif")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("good.cif", rock_salt())
    before = sorted(tmp_path.parent.rglob("outside.cif"))
    found = {one.source_file: one.structure for one in folder(tmp_path)}
    assert sorted(tmp_path.parent.rglob("outside.cif")) == before  # nothing is unpacked to disk
    refusals = {name for name, one in found.items() if isinstance(one, Failure)}
    assert refusals == {"a.zip/link.cif"} | {
        f"a.tar/{kind}.cif" for kind in ("link", "hard", "device", "fifo")
    }
    assert all("a link or a device" in found[name].message for name in refusals)


def test_archive_bombs(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("large.cif", b" " * (1 << 20))
        archive.writestr("good.cif", rock_salt())
    monkeypatch.setattr(archives, "LARGEST_FILE", 1 << 16)
    found = {one.source_file: one.structure for one in folder(tmp_path)}
    assert isinstance(found["a.zip/good.cif"], Crystal)
    assert "more than 65,536 bytes" in found["a.zip/large.cif"].message
    monkeypatch.setattr(archives, "MOST_BYTES", 1 << 12)
    [record] = folder(tmp_path)
    assert "unpacks to more than 4,096 bytes" in record.structure.message
    monkeypatch.setattr(archives, "MOST_MEMBERS", 1)
    [record] = folder(tmp_path)
    assert "more than 1 members" in record.structure.message


def test_a_second_member_of_a_jarvis_zip_is_not_unpacked(tmp_path, monkeypatch):
    from made_up_materials import entry

    path = tmp_path / "a.json.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", json.dumps([entry("J-1")]))
        archive.writestr("bomb.bin", b"\0" * (1 << 22))
    opened: list[str] = []
    plain = zipfile.ZipFile.open

    def noting(self: Any, name: Any, *rest: Any, **more: Any) -> Any:
        opened.append(getattr(name, "filename", name))
        return plain(self, name, *rest, **more)

    monkeypatch.setattr(zipfile.ZipFile, "open", noting)
    [record] = read_sources(expand_sources([str(path)]))
    assert isinstance(record.structure, Crystal) and set(opened) == {"a.json"}


@pytest.mark.parametrize("name", few(["a.zip", "a.tar.gz", "a.json.zip", "a.tar"]))
@pytest.mark.parametrize(
    "data",
    [b"", b"PK\x03\x04 broken", bytes(range(255, -1, -1)), b"\x1f\x8b\x08"],
    ids=["empty", "zip", "noise", "gzip"],
)
def test_damaged_archives_are_one_failure(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    (tmp_path / "good.cif").write_text(rock_salt())
    found = folder(tmp_path)
    assert [one.material_id for one in found if isinstance(one.structure, Crystal)] == ["good"]
    assert len(found) == 2
    [bad] = [one for one in found if isinstance(one.structure, Failure)]
    assert bad.source_file == name and bad.structure.message


def test_a_message_that_quotes_half_of_a_surrogate_pair_can_be_written(tmp_path):
    rows = {
        "cell": {"__ndarray__": ["\ud800", "float64", [4.0]]},
        "numbers": [11],
        "positions": [[0, 0, 0]],
    }
    text = json.dumps({"1": rows, "ids": [1], "nextid": 2})
    assert "\\ud800" in text
    message = refused(tmp_path, "a.json", text).message
    message.encode("utf-8")
    assert "\\ud800" in message


def test_a_member_whose_header_is_damaged_or_asks_for_gigabytes(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.vasp", poscar() * 20)
    whole = (tmp_path / "a.zip").read_bytes()
    place = whole.index(b"a.vasp") + len("a.vasp") + 9
    (tmp_path / "a.zip").write_bytes(whole[:place] + b"\xff" * 40 + whole[place + 40 :])
    [damaged] = read_sources(expand_sources([str(tmp_path / "a.zip")]))
    assert "cannot be unpacked" in damaged.structure.message

    def greedy(*_, **__):
        raise MemoryError

    monkeypatch.setattr(zipfile, "_get_decompressor", greedy)
    [asking] = read_sources(expand_sources([str(tmp_path / "a.zip")]))
    assert "more memory than there is" in asking.structure.message
