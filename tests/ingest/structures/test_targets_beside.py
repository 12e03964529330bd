"""Targets that stand with structures: VASP runs, extended XYZ, ASE's data bases, documents."""

from __future__ import annotations

import gzip
import io
import json
import sqlite3
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from structure_texts import poscar

from featurestore.failure import Failure
from featurestore.registry import load_registry
from ingest.structures import archive_runs
from ingest.structures.opening import HEAD
from ingest.structures.sources import expand_sources, read_sources


def vasprun(
    *,
    ionic: int = 1,
    electronic: int = 3,
    nelm: int = 60,
    nsw: int = 0,
    ibrion: int = -1,
    edge: float = 4.0,
    final: bool = True,
    e_0: float = -8.0,
) -> str:
    """A run of CsCl with two k-points, spins that differ, and a gap of 1.5 eV."""
    step = "".join(
        "<scstep><energy><i name='e_fr_energy'>-8.1</i><i name='e_0_energy'>-8.05</i></energy>"
        "</scstep>"
        for _ in range(electronic)
    )
    bands = {  # energy and occupation, by spin and k-point
        "spin 1": [[(-3, 1), (1, 1), (4, 0)], [(-2, 1), (1.5, 1), (5, 0)]],
        "spin 2": [[(-3, 1), (3, 0), (4, 0)], [(-2, 1), (3.5, 0), (5, 0)]],
    }
    eigenvalues = "<eigenvalues><array><set>"
    for spin, points in bands.items():
        eigenvalues += f"<set comment='{spin}'>"
        for point in points:
            rows = "".join(f"<r> {energy} {filled} </r>" for energy, filled in point)
            eigenvalues += f"<set>{rows}</set>"
        eigenvalues += "</set>"
    eigenvalues += "</set></array></eigenvalues>"

    def structure(name: str) -> str:
        named = f" name='{name}'" if name else ""
        return (
            f"<structure{named}><crystal><varray name='basis'><v>{edge} 0 0</v><v>0 {edge} 0</v>"
            f"<v>0 0 {edge}</v></varray></crystal><varray name='positions'><v>0 0 0</v>"
            "<v>.5 .5 .5</v></varray></structure>"
        )

    calculation = (
        f"<calculation>{step}{structure('')}<energy><i name='e_fr_energy'>-8.1</i>"
        f"<i name='e_0_energy'>{e_0}</i></energy>{eigenvalues}</calculation>"
    )
    return (
        "<?xml version='1.0'?><modeling><kpoints><varray name='weights'><v>0.25</v><v>0.75</v>"
        "</varray></kpoints><parameters><separator name='e'>"
        f"<i type='int' name='NELM'>{nelm}</i><i type='int' name='NSW'>{nsw}</i>"
        f"<i type='int' name='IBRION'>{ibrion}</i></separator></parameters>"
        "<atominfo><array name='atoms'><set><rc><c>Cs</c><c>1</c></rc><rc><c>Cl</c><c>2</c></rc>"
        f"</set></array></atominfo>{calculation * ionic}"
        f"{structure('finalpos') if final else ''}</modeling>"
    )


def outcar(volume: float = 64.0, ends: bool = True, converged: bool = True, **more: object) -> str:
    how = "because EDIFF is reached" if converged else "EDIFF was not reached (unconverged)"
    return (
        f" NIONS = 2\n IBRION = {more.get('ibrion', -1)}\n NSW    = {more.get('nsw', 0)}\n"
        "  energy without entropy =   -1.0  energy(sigma->0) =   -1.0\n"
        f"------------------------ aborting loop {how} --------\n"
        f"  volume of cell :       {volume:.2f}\n"
        " number of electron      16.0000000 magnetization       1.9999990\n"
        "  energy  without entropy=       -8.0  energy(sigma->0) =       -8.05\n"
        + (" General timing and accounting informations for this job:\n" if ends else "")
    )


def read(folder: Path, pattern: str = "") -> dict[str, dict[str, object]]:
    files = expand_sources([str(folder / pattern) if pattern else str(folder)])
    return {record.material_id: dict(record.targets) for record in read_sources(files)}


def put(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def test_what_a_run_says_is_in_the_registry_in_these_units(tmp_path):
    put(tmp_path / "run", vasprun__xml=vasprun())
    [targets] = read(tmp_path).values()
    assert targets == {
        # the last electronic step tells what the smearing is worth
        "energy": pytest.approx(-8.05),
        "energy_per_atom": pytest.approx(-4.025),
        "band_gap": pytest.approx(1.5),
        "total_magnetization": pytest.approx(1.0),
    }
    registry = load_registry()
    assert [registry[name].unit for name in targets] == ["eV", "eV/atom", "eV", "mu_B"]


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        ({"electronic": 60}, "electrons did not converge within NELM = 60"),
        ({"ionic": 4, "nsw": 4, "ibrion": 2}, "ions did not converge within NSW = 4"),
        ({"ionic": 4, "nsw": 4, "ibrion": 0}, "molecular dynamics"),
        ({"ionic": 4, "nsw": 1, "ibrion": 6}, "displaces atoms"),
        ({"final": False}, "no final structure"),
    ],
)
def test_runs_whose_numbers_are_refused(tmp_path, run, reason):
    put(tmp_path / "run", vasprun__xml=vasprun(**run))
    [targets] = read(tmp_path).values()
    assert {one.error for one in targets.values()} == {"UnconvergedError"}
    assert reason in targets["energy"].message


def test_a_relaxation_that_converged(tmp_path):
    put(tmp_path / "run", vasprun__xml=vasprun(ionic=3, nsw=4, ibrion=2))
    [targets] = read(tmp_path).values()
    assert targets["energy_per_atom"] == pytest.approx(-4.025)


def test_a_number_that_is_none(tmp_path):
    text = vasprun().replace("'>-8.1<", "'>*****<")
    put(tmp_path / "run", vasprun__xml=text)
    files = expand_sources([str(tmp_path)])
    [record] = read_sources(files)
    assert "<calculation> holds something else" in record.structure.message


def test_pymatgen_reads_the_same(tmp_path):
    from pymatgen.io.vasp.outputs import Vasprun

    text = vasprun().replace(
        "<modeling>",
        "<modeling><generator><i name='program' type='string'>vasp </i>"
        "<i name='version' type='string'>6.4</i></generator><incar></incar>",
    )
    text = text.replace(
        "</array></atominfo>",
        "</array><array name='atomtypes'><set><rc><c>1</c><c>Cs</c><c>132.9</c><c>9</c>"
        "<c>PAW_PBE Cs</c></rc><rc><c>1</c><c>Cl</c><c>35.4</c><c>7</c><c>PAW_PBE Cl</c></rc></set>"
        "</array></atominfo>",
    )
    put(tmp_path / "run", vasprun__xml=text)
    [targets] = read(tmp_path).values()
    theirs = Vasprun(tmp_path / "run" / "vasprun.xml", parse_dos=False, parse_potcar_file=False)
    assert targets["energy"] == pytest.approx(theirs.final_energy)
    assert targets["band_gap"] == pytest.approx(theirs.eigenvalue_band_properties[0])


def test_a_folder_of_runs(tmp_path):
    put(tmp_path / "run1", CONTCAR=poscar(), vasprun__xml=vasprun())
    put(tmp_path / "run2", CONTCAR=poscar(), OUTCAR=outcar())
    put(tmp_path / "run3", POSCAR=poscar(), OUTCAR=outcar(volume=70.0))
    put(tmp_path / "run4", CONTCAR=poscar())
    packed = gzip.compress(vasprun().encode())
    (put(tmp_path / "run5", CONTCAR__relax1=poscar()) / "vasprun.xml.relax1.gz").write_bytes(packed)
    found = read(tmp_path, "run*/*")
    assert found["run1/CONTCAR"] == found["vasprun"] == found["CONTCAR.relax1"]
    assert found["run1/CONTCAR"]["band_gap"] == pytest.approx(1.5)
    assert found["run2/CONTCAR"] == {
        "energy": -8.05,
        "energy_per_atom": -4.025,
        "total_magnetization": 1.999999,
    }
    assert found["POSCAR"] == {}  # it ended with another structure, as a POSCAR may
    assert found["run4/CONTCAR"] == {}
    alone = read(tmp_path, "run*/CONTCAR")
    assert alone["run1/CONTCAR"] == found["run1/CONTCAR"]


@pytest.mark.parametrize(
    ("beside", "error", "words"),
    [
        ({"vasprun__xml": vasprun()[:900]}, "UnreadableFileError", "run that was cut off"),
        ({"vasprun__xml": vasprun(edge=5)}, "OtherStructureError", "another structure"),
        ({"OUTCAR": outcar(ends=False)}, "UnreadableFileError", "cut off"),
        ({"OUTCAR": outcar(volume=70.0)}, "OtherStructureError", "another structure"),
        ({"OUTCAR": "text"}, "UnreadableFileError", "cut off"),
        ({"OUTCAR": outcar(converged=False)}, "UnconvergedError", "electrons did not converge"),
        ({"OUTCAR": outcar(nsw=9, ibrion=2)}, "UnconvergedError", "ions did not converge"),
    ],
)
def test_a_run_that_cannot_be_used_is_a_failure_of_the_energy(tmp_path, beside, error, words):
    put(tmp_path / "run", CONTCAR=poscar(), **beside)
    found = read(tmp_path, "run/CONTCAR")["CONTCAR"]["energy"]
    assert isinstance(found, Failure) and found.error == error and words in found.message


def test_a_poscar_beside_a_run_that_was_cut_off_says_so(tmp_path):
    put(tmp_path / "run", POSCAR=poscar(), OUTCAR=outcar(ends=False))
    [targets] = read(tmp_path, "run/POSCAR").values()
    assert targets["energy"].error == "UnreadableFileError"


def test_extended_xyz(tmp_path):
    text = (
        '2\nLattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3 pbc="T T T" energy=-8.0 '
        "band_gap=1.5 name=x relaxed=T\nCs 0 0 0\nCl 2 2 2\n"
    )
    (tmp_path / "a.extxyz").write_text(text)
    [targets] = read(tmp_path).values()
    assert targets == {"energy": -8.0, "energy_per_atom": -4.0, "band_gap": 1.5}


def test_ases_data_bases(tmp_path):
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.db import connect

    atoms = Atoms("CsCl", positions=[[0, 0, 0], [2, 2, 2]], cell=[4, 4, 4], pbc=True)
    atoms.calc = SinglePointCalculator(atoms, energy=-8.0, magmom=1.0)
    for name in ("a.db", "a.json"):
        folder = tmp_path / name
        folder.mkdir()
        connect(folder / name).write(atoms, band_gap=1.5, relaxed=True, who="x")
        [targets] = read(folder).values()
        assert targets == {
            "energy": -8.0,
            "energy_per_atom": -4.0,
            "band_gap": 1.5,
            "total_magnetization": 1.0,
        }


def test_a_data_base_without_results_and_one_with_broken_pairs(tmp_path):
    from ase import Atoms
    from ase.db import connect

    atoms = Atoms("CsCl", positions=[[0, 0, 0], [2, 2, 2]], cell=[4, 4, 4], pbc=True)
    connect(tmp_path / "a.db").write(atoms)
    assert list(read(tmp_path).values()) == [{}]
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("UPDATE systems SET key_value_pairs = '{broken'")
    connection.close()
    [record] = read_sources(expand_sources([str(tmp_path)]))
    assert "no valid JSON" in record.structure.message


def test_a_document_of_the_materials_project(tmp_path):
    from pymatgen.core import Lattice, Structure

    structure = Structure(Lattice.cubic(4), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    document = {
        "material_id": "mp-1",
        "structure": structure.as_dict(),
        "formation_energy_per_atom": -2.0,
        "energy_above_hull": 0.0,
        "band_gap": 5.0,
        "total_magnetization": 0.0,
        "is_metal": False,
    }
    (tmp_path / "a.json").write_text(json.dumps([document, document | {"material_id": "mp-2"}]))
    found = read(tmp_path)["mp-1"]
    registry = load_registry()
    assert {name for name in found if name in registry} == {
        *("formation_energy_per_atom", "energy_above_hull", "band_gap", "total_magnetization")
    }


RUNS = {
    "run1/CONTCAR": poscar(),
    "run1/vasprun.xml": vasprun(),
    "run2/vasprun.xml": vasprun(e_0=-9.0),
    "run2/z/README": "text",
    "run3/OUTCAR": outcar() + " " * HEAD,
    "run3/CONTCAR": poscar(),
    "run3/POSCAR": poscar(lattice="4.2 0 0\n0 4.2 0\n0 0 4.2"),
    "run4/POSCAR.relax1": poscar(),
    "run4/OUTCAR.relax1.gz": gzip.compress(outcar().encode()),
    "run5/CONTCAR": poscar(),
    "run5/OUTCAR": outcar(ends=False),
    "run6/CONTCAR": poscar(),
}


def packed(folder: Path, kind: str, names: Sequence[str] = tuple(RUNS)) -> Path:
    """An archive of the runs, with a folder of its own."""
    path = folder / f"runs.{kind}"
    contents = {f"runs/{name}": RUNS[name] for name in names}
    data = {name: one if isinstance(one, bytes) else one.encode() for name, one in contents.items()}
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in data.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(path, "w:gz") as tar:
            for name, content in data.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


def in_files(source: Path) -> dict[str, dict[str, object]]:
    """Targets, or what else becomes of a file, by its path in the folder of runs."""
    found = {}
    for record in read_sources(expand_sources([str(source)])):
        failed = isinstance(record.structure, Failure)
        name = record.source_file.removeprefix(f"{source.name}/").removeprefix("runs/")
        assert name not in found
        found[name] = {"": type(record.structure)} if failed else dict(record.targets)
    return found


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_runs_in_an_archive_are_read_as_in_a_folder(tmp_path, kind):
    folder = tmp_path / "runs"
    for name, text in RUNS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    there = in_files(folder)
    assert there["run1/CONTCAR"]["band_gap"] == pytest.approx(1.5)
    assert there["run3/CONTCAR"] == there["run4/POSCAR.relax1"]
    assert there["run3/CONTCAR"]["energy"] == -8.05 and there["run3/POSCAR"] == {}
    assert there["run5/CONTCAR"]["energy"].error == "UnreadableFileError"
    for names in (sorted(RUNS), sorted(RUNS, reverse=True)):
        assert in_files(packed(tmp_path, kind, names)) == there


def test_a_run_too_far_from_its_structure_in_an_archive_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(archive_runs, "MOST_HELD", 100)
    for names in (["run3/CONTCAR", "run3/POSCAR", "run3/OUTCAR"], ["run3/OUTCAR", "run3/CONTCAR"]):
        found = in_files(packed(tmp_path, "tar.gz", names))
        said = [one["energy"] for one in found.values() if isinstance(one.get("energy"), Failure)]
        assert len(found) == len(names) and [one.error for one in said] == ["LimitError"]
        assert "unpack the archive" in said[0].message and "OUTCAR beside" in said[0].message


def test_links_and_doubled_names_for_runs_in_a_tar(tmp_path):
    def add(archive: tarfile.TarFile, name: str, text: str | None) -> None:
        info = tarfile.TarInfo(name)
        if text is None:
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        info.size = len(text or "")
        archive.addfile(info, io.BytesIO((text or "").encode()))

    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        add(archive, "1/CONTCAR", poscar())
        add(archive, "1/OUTCAR", None)
        add(archive, "2/OUTCAR", outcar())
        add(archive, "2/CONTCAR", poscar())
        add(archive, "2/OUTCAR", outcar())
    records = {one.source_file: one for one in read_sources(expand_sources([str(tmp_path)]))}
    linked, doubled = (records[f"a.tar/{n}/CONTCAR"].targets["energy"] for n in (1, 2))
    assert "a link or a device" in linked.message and "more than once" in doubled.message
