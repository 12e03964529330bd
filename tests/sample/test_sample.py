"""The bundled sample: its content, and the way from the two packages to its bytes."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from featurestore.errors import InvalidInputError
from ingest.sample import rebuild, sample_archive

POSCAR = """System
1.0
0.0 2.0 2.0
2.0 0.0 2.0
2.0 2.0 0.0
Na Cl
1 1
direct
0.0 0.0 0.0
0.5 0.5 0.5
"""


def read(path: Path) -> list[dict]:
    with zipfile.ZipFile(path) as archive:
        [name] = archive.namelist()
        assert name == path.name.removesuffix(".zip")
        return json.loads(archive.read(name))


def test_bundled_archive_holds_what_its_readme_says():
    records = read(sample_archive())
    counts = Counter(name for r in records for name in rebuild.PROPERTIES if r[name] != "na")
    assert len({r["jid"] for r in records}) == len(records) == 70
    assert counts == {
        "formation_energy_peratom": 50,
        "magmom_oszicar": 42,
        "mbj_bandgap": 13,
        "slme": 7,
        "Tc_supercon": 2,
    }
    readme = sample_archive().with_name("README.md").read_text(encoding="utf-8")
    for name in rebuild.PROPERTIES:
        [line] = [line for line in readme.splitlines() if line.startswith(f"| `{name}` |")]
        assert line.endswith(f"| {counts[name]} |")


def test_bundled_structures_are_whole():
    for record in read(sample_archive()):
        atoms = record["atoms"]
        assert len(atoms["elements"]) == len(atoms["coords"]) > 0
        assert abs(np.linalg.det(atoms["lattice_mat"])) > 1.0
        assert not atoms["cartesian"]


def write_packages(folder: Path) -> tuple[Path, Path]:
    """A source distribution and a wheel with two structures and two values, in the real layout."""
    sdist, wheel = folder / "alignn.tar.gz", folder / "leaderboard.whl"
    with tarfile.open(sdist, "w:gz") as archive:
        for path in ("sample_data/POSCAR-JVASP-20", "sample_data/POSCAR-JVASP-3", "other/POSCAR-x"):
            member = tarfile.TarInfo(f"alignn-1/alignn/examples/{path}.vasp")
            member.size = len(POSCAR)
            archive.addfile(member, io.BytesIO(POSCAR.encode()))
    with zipfile.ZipFile(wheel, "w") as outer:
        for number, name in enumerate(rebuild.PROPERTIES):
            inner = io.BytesIO()
            folds = {"train": {"JVASP-3": number + 0.5}, "val": {}, "test": {"JVASP-99": 1}}
            with zipfile.ZipFile(inner, "w") as archive:
                archive.writestr(f"dft_3d_{name}.json", json.dumps(folds))
            outer.writestr(
                f"jarvis_leaderboard/benchmarks/AI/SinglePropertyPrediction/dft_3d_{name}.json.zip",
                inner.getvalue(),
            )
    return sdist, wheel


def test_records_join_structures_and_targets_by_id(tmp_path):
    sdist, wheel = write_packages(tmp_path)
    poscars = rebuild.read_poscars(sdist)
    targets = {name: rebuild.read_targets(wheel, name) for name in rebuild.PROPERTIES}
    first, second = rebuild.build_records(poscars, targets)
    assert (first["jid"], second["jid"]) == ("JVASP-3", "JVASP-20")
    assert first["formula"] == "NaCl"
    assert first["atoms"]["elements"] == ["Na", "Cl"]
    assert [first[name] for name in rebuild.PROPERTIES] == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]
    assert [second[name] for name in rebuild.PROPERTIES] == ["na"] * 6


def test_equal_records_give_equal_bytes(tmp_path):
    paths = [tmp_path / "a" / "s.json.zip", tmp_path / "b" / "s.json.zip"]
    for path in paths:
        path.parent.mkdir()
        rebuild.write_archive([{"jid": "JVASP-1", "value": np.float64(0.1)}], path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert read(paths[0]) == [{"jid": "JVASP-1", "value": 0.1}]


def test_a_package_with_other_content_is_refused(tmp_path, monkeypatch):
    def fake_download(requirement, form, folder):
        path = folder / "alignn-2026.8.11.tar.gz"
        path.write_bytes(b"something else")
        return path

    monkeypatch.setattr(rebuild, "download_distribution", fake_download)
    target = tmp_path / "s.json.zip"
    with pytest.raises(InvalidInputError, match=r"alignn-2026\.8\.11\.tar\.gz: SHA-256"):
        rebuild.rebuild(target)
    assert not target.exists()
