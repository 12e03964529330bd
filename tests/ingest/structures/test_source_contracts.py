"""The readers that ship keep the contract of readers."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from featurestore.plugins import SOURCES, part_names, registered
from featurestore.testing import SourceContract
from ingest.structures.readers.registry import readers

# As ASE and pymatgen write caesium chloride.
ASE = {"cfg": ("a.cfg", "cfg"), "ase-database": ("a.db", "db"), "extended-xyz": ("a.xyz", "extxyz")}
ASE |= {"xsf": ("a.xsf", "xsf"), "fhi-aims": ("geometry.in", "aims"), "res": ("a.res", "res")}
ASE |= {"cif": ("a.cif", "cif"), "poscar": ("POSCAR", "vasp")}
JSON = (
    '{"lattice_mat": [[4.1, 0, 0], [0, 4.1, 0], [0, 0, 4.1]], "elements": ["Cs", "Cl"], '
    '"coords": [[0, 0, 0], [0.5, 0.5, 0.5]], "cartesian": false}'
)
VASPRUN = """<modeling><atominfo><array name="atoms"><set><rc><c>Cs</c></rc><rc><c>Cl</c></rc></set>
</array></atominfo><structure name="finalpos"><crystal><varray name="basis"><v>4.1 0 0</v>
<v>0 4.1 0</v><v>0 0 4.1</v></varray></crystal><varray name="positions"><v>0 0 0</v>
<v>.5 .5 .5</v></varray></structure></modeling>"""
TEXTS = {
    "json": ("a.json", JSON),
    "json-lines": ("a.jsonl", f"{JSON}\n{JSON}\n"),
    "vasprun": ("vasprun.xml", VASPRUN),
}


def written(name: str) -> dict[str, bytes]:
    """A file for the reader of that name."""
    from ase import Atoms
    from ase.io import write
    from pymatgen.core import Lattice, Structure
    from pymatgen.io.cssr import Cssr

    if name in TEXTS:
        file, text = TEXTS[name]
        return {file: text.encode()}
    if name == "cssr":
        cell = Structure(Lattice.cubic(4.1), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
        return {"a.cssr": str(Cssr(cell)).encode()}
    atoms = Atoms("CsCl", cell=[4.1] * 3, scaled_positions=[[0] * 3, [0.5] * 3], pbc=True)
    file, form = ASE[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file
        write(path, atoms, format=form)
        return {file: path.read_bytes()}


OURS = [
    name
    for name in part_names(SOURCES)
    if registered(SOURCES, name).package == "materials-featurestore"
]


@pytest.mark.parametrize("name", OURS)
class TestShipped(SourceContract):
    @pytest.fixture
    def part(self, name: str) -> Any:
        return next(one.part for one in readers().usable if one.part.name == name)

    @pytest.fixture
    def files(self, name: str) -> Mapping[str, bytes]:
        return written(name)


def test_all_that_ship_are_tested_above() -> None:
    assert sorted(OURS) == sorted({*ASE, *TEXTS, "cssr"})
