"""Readers of other packages: which reads a file, and what a broken one leaves."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from made_up_package import install

from featurestore.crystal import Crystal
from featurestore.errors import InvalidInputError
from featurestore.failure import Failure
from featurestore.machine.workers import WorkerPool
from featurestore.plugins import SOURCES
from ingest.structures import opening, sources
from ingest.structures.readers.source_part import SourcePart
from ingest.structures.records import NotAStructure
from ingest.structures.sources import expand_sources, read_sources

POSCAR = "CsCl\n1.0\n4.1 0 0\n0 4.1 0\n0 0 4.1\nCs Cl\n1 1\nDirect\n0 0 0\n0.5 0.5 0.5\n"
READER = """
import numpy as np
from featurestore.crystal import Crystal
from ingest.structures.readers.base import Found
from ingest.structures.readers.source_part import SourcePart
def crystal(symbol):
    return Crystal(np.eye(3) * 3.4, (symbol,), np.zeros((1, 3)))
def read(content):
    {body}
PART = SourcePart(name="{name}", summary="One.", licence="MIT", read=read, {how})
"""
GOLD = 'yield Found(crystal("Po"))'


def add(
    site: Path, package: str, name: str, how: str = "", body: str = GOLD, code: str = ""
) -> None:
    module = package.replace("-", "_")
    install(
        site,
        package,
        entry_points={SOURCES: {name: f"{module}:PART"}},
        modules={module: code or READER.format(name=name, how=how, body=body)},
    )


def read(tmp_path: Path, files: dict[str, str | bytes]) -> dict[str, Crystal | Failure]:
    folder = tmp_path / "files"
    folder.mkdir()
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.encode()
        (folder / name).write_bytes(data)
    records = read_sources(expand_sources([str(folder)]))
    return {record.source_file: record.structure for record in records}


def message(found: Crystal | Failure, error: str) -> str:
    assert isinstance(found, Failure) and found.error == error, found
    return found.message


def test_the_longer_suffix_wins_and_equal_ones_are_refused_by_both_names(
    site: Path, tmp_path: Path
) -> None:
    add(site, "lab-longer", "longer", 'suffixes=(".lab.vasp",)')
    add(site, "lab-rival", "rival", 'suffixes=(".extxyz",)')
    found = read(tmp_path, {"a.lab.vasp": POSCAR, "b.vasp": POSCAR, "c.extxyz": "1\n\nH 0 0 0\n"})
    assert found["a.lab.vasp"].species == ("Po",)  # type: ignore[union-attr]
    assert found["b.vasp"].species == ("Cs", "Cl")  # type: ignore[union-attr]
    said = message(found["c.extxyz"], "ReaderConflictError")
    assert "'extended-xyz' of materials-featurestore" in said
    assert "'rival' of lab-rival 1.0 (lab_rival:PART)" in said


def test_two_that_recognise_one_content_are_both_named(site: Path, tmp_path: Path) -> None:
    add(site, "lab-greedy", "greedy", "recognises=lambda head: 'CsCl' in head")
    found = read(tmp_path, {"one": POSCAR, "two": "only CsCl"})
    said = message(found["one"], "ReaderConflictError")
    assert "'greedy' of lab-greedy 1.0" in said and "'poscar' of materials-featurestore" in said
    assert found["two"].species == ("Po",)  # type: ignore[union-attr]


def test_a_broken_package_is_named_and_leaves_the_others(site: Path, tmp_path: Path) -> None:
    add(site, "lab-broken", "broken", code="import no_such_module_anywhere")
    found = read(tmp_path, {"a.vasp": POSCAR, "b.strange": "what the broken one might read"})
    assert isinstance(found["a.vasp"], Crystal)
    said = message(found["b.strange"], "ReaderError")
    assert "lab-broken 1.0 (lab_broken:PART)" in said and "no_such_module_anywhere" in said


def test_a_doubled_name_is_refused_by_both_packages_and_leaves_the_others(
    site: Path, tmp_path: Path
) -> None:
    add(site, "lab-cif", "cif", 'suffixes=(".cif",)')
    found = read(tmp_path, {"a.vasp": POSCAR, "b.cif": "data_a"})
    assert isinstance(found["a.vasp"], Crystal)
    said = message(found["b.cif"], "ReaderError")
    assert "materials-featurestore" in said and "lab-cif 1.0 (lab_cif:PART)" in said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("yield Found(crystal('Po')); raise KeyError('x')", "KeyError: 'x'"),
        ("raise SystemExit('bye')", "SystemExit: bye"),
        ("yield 3", "it gives a int, no Found"),
        ("yield Found(3)", "a structure of class int"),
        ("yield Found(Crystal(np.eye(3), ['Po'], np.zeros((1, 3))))", "no tuple of str"),
        ("yield Found(Crystal([[1]], ('Po',), np.zeros((1, 3))))", "no array of float64"),
        ("yield Found(crystal('Po'), space_group='Pm-3m')", "a space group that is no number"),
        ("yield from ()", "finds no structure"),
        ("yield Found(crystal('Po'), targets={'gap': [1]})", "the target 'gap' as a list"),
        ("while True: yield Found(crystal('Po'), notes=('x: ' + 'y' * 9 ** 7,))", "and more in it"),
    ],
)
def test_what_a_reader_does_wrong_is_one_failure_that_names_it(
    site: Path, tmp_path: Path, body: str, said: str
) -> None:
    add(site, "lab-odd", "odd", 'suffixes=(".odd",)', body)
    found = read(tmp_path, {"a.odd": "text", "b.vasp": POSCAR})
    assert isinstance(found["b.vasp"], Crystal)
    assert isinstance(found["a.odd"], Failure)
    assert said in found["a.odd"].message
    assert "the structure reader 'odd' of lab-odd 1.0 (lab_odd:PART)" in found["a.odd"].message


def test_a_cell_too_large_leaves_the_others_of_its_file(site: Path, tmp_path: Path) -> None:
    body = "for n in (1, 5001): yield Found(Crystal(np.eye(3) * 9, ('Po',) * n, np.zeros((n, 3))))"
    add(site, "lab-odd", "odd", 'suffixes=(".odd",)', body)
    (tmp_path / "a.odd").write_text("text")
    small, large = read_sources(expand_sources([str(tmp_path / "a.odd")]))
    assert isinstance(small.structure, Crystal)
    assert "the cell has 5,001 atoms, the largest 5,000" in message(large.structure, "LimitError")


@pytest.mark.parametrize("how", ['suffixes=(".odd",)', "recognises=lambda head: True"])
def test_a_reader_of_another_package_is_given_what_ours_would_be(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """No FIFO, no device, no link to one, no more bytes than the limit, packed or not."""
    add(site, "lab-odd", "odd", how)
    folder = tmp_path / "files"
    folder.mkdir()
    os.mkfifo(folder / "fifo.odd")
    (folder / "device.odd").symlink_to("/dev/zero")
    (folder / "bomb.odd.gz").write_bytes(gzip.compress(b" " * (1 << 20)))
    (folder / "large.odd").write_bytes(b" " * (1 << 20))
    (folder / "good.odd").write_text("text")
    with tarfile.open(folder / "a.tar", "w") as archive:
        link = tarfile.TarInfo("link.odd")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    monkeypatch.setattr(opening, "LARGEST_FILE", 1 << 16)
    records = read_sources(expand_sources([str(folder)]))
    found = {record.source_file: record.structure for record in records}
    assert [name for name, one in found.items() if isinstance(one, Crystal)] == ["good.odd"]
    assert "more than 65,536 bytes" in message(found["bomb.odd.gz"], "LimitError")
    assert "more than 65,536 bytes" in message(found["large.odd"], "LimitError")
    assert "a link or a device" in message(found["a.tar/link.odd"], "LimitError")
    for name in ("fifo.odd", "device.odd"):
        assert isinstance(found[name], NotAStructure) == ("recognises" in how)
        assert "not a regular file" in found[name].message  # type: ignore[union-attr]


def test_a_reader_that_hangs_or_ends_its_process_is_named(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = (
        "import os, time\n    kind = content.text.strip()\n"
        "    if kind == 'hangs': time.sleep(60)\n    if kind == 'ends': os._exit(3)\n"
        "    if kind == 'interrupts': raise KeyboardInterrupt\n"
        "    if kind == 'hoards': b'x' * (8 << 30)\n"
        "    yield Found(crystal('Po'))"
    )
    add(site, "lab-odd", "odd", 'suffixes=(".odd",)', body)
    folder = tmp_path / "files"
    folder.mkdir()
    for kind in ("hangs", "ends", "interrupts", "hoards", "works"):
        (folder / f"{kind}.odd").write_text(kind)
    monkeypatch.setattr(sources, "SECONDS_A_FILE", 8.0)
    with WorkerPool(1, memory_limit=4 << 30) as pool:
        records = read_sources(expand_sources([str(folder)]), pool=pool)
        found = {record.material_id: record.structure for record in records}
    assert isinstance(found.pop("works"), Crystal)
    for kind, error in (
        ("hangs", "TimeLimit"),
        ("ends", "WorkerDied"),
        ("interrupts", "KeyboardInterrupt"),
        ("hoards", "MemoryError"),
    ):
        said = message(found[kind], error)
        assert "'odd' of lab-odd 1.0" in said and f"{kind}.odd" in said


def test_a_recogniser_that_raises_is_named_where_nobody_else_reads_the_file(
    site: Path, tmp_path: Path
) -> None:
    add(site, "lab-odd", "odd", "recognises=lambda head: 1 / 0")
    found = read(tmp_path, {"one": POSCAR, "two": "a letter"})
    assert isinstance(found["one"], Crystal)
    said = message(found["two"], "ReaderError")
    assert "'odd' of lab-odd 1.0" in said and "ZeroDivisionError" in said


def test_a_missing_package_is_named(site: Path, tmp_path: Path) -> None:
    add(site, "lab-needy", "needy", 'suffixes=(".needy",), packages=("no-such-package",)')
    found = read(tmp_path, {"a.needy": "text"})
    assert "'no-such-package'" in message(found["a.needy"], "MissingPackageError")


def test_without_broken_ones_other_files_are_passed_over(tmp_path: Path) -> None:
    assert isinstance(read(tmp_path, {"a.strange": "text"})["a.strange"], NotAStructure)


def test_the_beginning_of_a_member_is_not_read_for_the_whole(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("short", POSCAR)
        archive.writestr("long", POSCAR + "\n" * 70_000)
        archive.writestr("long.in", POSCAR + "\n" * 70_000)  # a suffix that some reader shares
    found = read(tmp_path, {"a.zip": packed.getvalue()})
    assert isinstance(found["a.zip/short"], Crystal)
    assert "give the member a suffix" in message(found["a.zip/long"], "LimitError")
    assert isinstance(found["a.zip/long.in"], Crystal)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "recognises no file"),
        ({"suffixes": ("odd",)}, "with its dot"),
        ({"suffixes": (".odd.gz",)}, "without that of a compression"),
        ({"names": ("ODD",)}, "in lower case"),
    ],
)
def test_a_part_that_could_read_nothing_is_refused(more: dict[str, tuple[str]], said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        SourcePart(name="odd", summary="Odd.", read=lambda content: iter(()), **more)
