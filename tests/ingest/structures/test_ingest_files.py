"""Structure files of every kind, and how sources on the command line become files."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from made_up_materials import atoms, crystal, entry, write_archive

from featurestore.crystal import Crystal
from featurestore.errors import InvalidInputError
from featurestore.failure import Failure
from ingest.structures import opening
from ingest.structures.convert import to_pymatgen
from ingest.structures.files import read_structure_file
from ingest.structures.readers.by_libraries import crystal_from_ase
from ingest.structures.records import NotAStructure
from ingest.structures.sources import dataset_name, expand_sources, read_sources

CIF = """data_test
_cell_length_a {a}
_cell_length_b {a}
_cell_length_c {a}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
 _atom_site_label
 _atom_site_type_symbol
 _atom_site_fract_x
 _atom_site_fract_y
 _atom_site_fract_z
 _atom_site_occupancy
 {sites}
"""
POSCAR = """CsCl
1.0
4 0 0
0 4 0
0 0 4
Cs Cl
1 1
{mode}
0 0 0
{second}
"""


def cif(*sites: str, a: float = 4.0) -> str:
    return CIF.format(a=a, sites="\n ".join(sites))


def read_one(path: Path) -> Crystal | Failure:
    [record] = read_structure_file(path)
    assert record.source_file == path.name
    return record.structure


def write_kinds(folder: Path) -> list[Path]:
    """The same caesium chloride cell in every kind of file."""
    import ase.io
    from pymatgen.io.ase import AseAtomsAdaptor

    structure = to_pymatgen(crystal())
    texts = {
        "a.cif": cif("Cs1 Cs 0 0 0 1", "Cl1 Cl 0.5 0.5 0.5 1"),
        "b.vasp": POSCAR.format(mode="Direct", second="0.5 0.5 0.5"),
        "c.poscar": POSCAR.format(mode="Cartesian", second="2 2 2"),
        "POSCAR": POSCAR.format(mode="direct", second="0.5 0.5 0.5"),
        "d.json": json.dumps(structure.as_dict()),
        "e.json": json.dumps(atoms()),
        "f.json": "\ufeff" + structure.add_oxidation_state_by_guess().to_json(),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    ase.io.write(folder / "g.json", AseAtomsAdaptor.get_atoms(structure), format="json")
    return [*(folder / name for name in texts), folder / "g.json"]


def test_every_kind_of_file_gives_the_same_structure(tmp_path):
    for path in write_kinds(tmp_path):
        found = read_one(path)
        assert isinstance(found, Crystal), (path, found)
        assert found.species == ("Cs", "Cl")
        assert found.structure_id == crystal().structure_id, path


def test_files_are_named_by_their_stem(tmp_path):
    for name, stem in {
        "POSCAR-J-1.vasp": "POSCAR-J-1",
        "x.y.cif": "x.y",
        "POSCAR": "POSCAR",
    }.items():
        (tmp_path / name).write_text("nonsense")
        assert read_structure_file(tmp_path / name)[0].material_id == stem


def test_a_file_of_several_structures_numbers_them(tmp_path):
    import ase.io

    cells = [crystal_as_ase(a) for a in (4.0, 5.0)]
    ase.io.write(tmp_path / "two.json", cells, format="json")
    sites = ("Cs1 Cs 0 0 0 1", "Cl1 Cl 0.5 0.5 0.5 1")
    text = cif(*sites) + cif(*sites, a=5).replace("data_test", "data_other")
    (tmp_path / "two.cif").write_text(text)
    for name in ("two.json", "two.cif"):
        records = read_structure_file(tmp_path / name)
        assert [record.material_id for record in records] == ["two/1", "two/2"]
        assert [record.structure.volume for record in records] == pytest.approx([64, 125])


def crystal_as_ase(a: float, **options: object):
    from ase import Atoms

    scaled = [[0, 0, 0], [0.5, 0.5, 0.5]]
    return Atoms("CsCl", cell=[a] * 3, scaled_positions=scaled, **{"pbc": True} | options)


@pytest.mark.parametrize("options", [{"pbc": False}, {"pbc": [True, True, False]}, {"cell": None}])
def test_ase_atoms_without_three_periods(options):
    given = crystal_as_ase(4.0)
    if "pbc" in options:
        given.pbc = options["pbc"]
    else:
        given.cell = None
    with pytest.raises(Exception, match="not periodic in three directions"):
        crystal_from_ase(given)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("half.cif", cif("Cs1 Cs 0 0 0 0.5", "Cl1 Cl 0.5 0.5 0.5 1"), "partial occupancy: site"),
        ("mix.cif", cif("K1 K 0 0 0 0.5", "Cs1 Cs 0 0 0 0.5", "Cl1 Cl .5 .5 .5 1"), "OrderDisord"),
        ("none.cif", CIF.split("loop_")[0], "."),
        ("empty.cif", "", "."),
        ("README.md", "# Title", "."),
        ("photo.png", "\x89PNG", "."),
        ("bad.vasp", "CsCl\n1.0\n4 0 0\n", "."),
        ("x.json", '{"a": 1, "b": 2}', r"no structure: it is an object with the keys \['a', 'b'\]"),
        ("cut.json", '{"lattice_mat": [[1,', "Expecting"),
        ("number.json", "3", "no structure: it is a number"),
        ("lattice.json", '{"lattice": 1, "sites": []}', "."),
    ],
)
def test_a_file_that_cannot_be_read_is_a_failure(tmp_path, name, text, message):
    import re

    (tmp_path / name).write_text(text, "utf-8")
    found = read_one(tmp_path / name)
    assert isinstance(found, Failure) and found.message
    assert re.search(message, found.message)


def test_partial_occupancy_in_pymatgen_json(tmp_path):
    from pymatgen.core import Lattice, Structure

    structure = Structure(Lattice.cubic(4), [{"Na": 0.5, "K": 0.5}], [[0, 0, 0]])
    (tmp_path / "a.json").write_text(structure.to_json())
    found = read_one(tmp_path / "a.json")
    assert isinstance(found, Failure) and "partial occupancy: site 0 holds" in found.message


def test_an_unknown_element_in_a_cif_is_refused_later(tmp_path):
    from ingest.structures.analysis import analyse

    (tmp_path / "x.cif").write_text(cif("Xx1 Xx 0 0 0 1"))
    found = read_one(tmp_path / "x.cif")
    verdict = found if isinstance(found, Failure) else analyse(found)
    assert isinstance(verdict, Failure)


def test_a_file_of_absurd_size_is_not_read(tmp_path, monkeypatch):
    path = write_kinds(tmp_path)[0]
    monkeypatch.setattr(opening, "LARGEST_FILE", 10)
    found = read_one(path)
    assert isinstance(found, Failure) and "bytes" in found.message


def test_site_order_and_float_values_are_kept(tmp_path):
    coords = np.array([[0.1, 0.2, 1 / 3], [0.7, 0.123456789012345, 0.9], [0.4, 0.6, 0.05]])
    given = Crystal(np.array([[4, 0.1, 0], [0, 5, 0.2], [0.3, 0, 6]]), ("O", "Li", "O"), coords)
    (tmp_path / "a.json").write_text(to_pymatgen(given).to_json())
    found = read_one(tmp_path / "a.json")
    assert found.species == given.species
    np.testing.assert_array_equal(found.frac_coords, coords)
    np.testing.assert_array_equal(found.lattice, given.lattice)


def test_sources_are_files_folders_and_globs(tmp_path):
    for name in ("b.cif", "a.cif", "sub/c.cif", ".hidden.cif", ".git/config", "sub/.x/d.cif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "[odd].cif").write_text("")

    def names(*sources: str) -> list[str]:
        found = expand_sources(str(tmp_path / source) for source in sources)
        return [str(file.path.relative_to(tmp_path)) for file in found]

    assert names("") == ["[odd].cif", "a.cif", "b.cif", "sub/c.cif"]
    assert names("*.cif") == ["[odd].cif", "a.cif", "b.cif"]
    assert names("**/c.cif") == ["sub/c.cif"]
    assert names("b.cif", "sub") == ["b.cif", "sub/c.cif"]
    assert names("[odd].cif") == ["[odd].cif"]
    (tmp_path / "empty").mkdir()
    for nothing in ("missing.cif", "*.vasp", "empty"):
        with pytest.raises(InvalidInputError, match="no file or folder"):
            names("a.cif", nothing)


@pytest.mark.parametrize(
    ("sources", "name"),
    [
        (["data/dft_3d.json.zip"], "dft_3d"),
        (["data/dft_3d.json", "other"], "dft_3d"),
        (["my-cifs/"], "my-cifs"),
        (["my-cifs/*.cif"], "my-cifs"),
        (["a.cif"], "a"),
    ],
)
def test_a_data_set_is_named_after_its_source(sources, name):
    assert dataset_name(sources) == name


def test_a_folder_of_everything(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    paths = write_kinds(folder)
    (folder / "README.md").write_text("not a structure")
    write_archive(folder / "archive.json", [entry("J-1"), entry("J-2", 5)])
    shutil.copy(write_archive(tmp_path / "z.json.zip", [entry("J-3", 6)]), folder)
    records = list(read_sources(expand_sources([str(folder)])))
    good = {r.material_id for r in records if isinstance(r.structure, Crystal)}
    bad = {r.material_id for r in records if isinstance(r.structure, Failure)}
    assert good == {"J-1", "J-2", "J-3", "POSCAR"} | {p.stem for p in paths}
    assert bad == {"README.md"}
    [readme] = [r.structure for r in records if r.material_id == "README.md"]
    assert isinstance(readme, NotAStructure)


BACK_UPS = (
    *("a.cif~", "#a.cif#", "~$a.cif", "a.cif.bak", "a.cif.swp", "a.cif.part", "POSCAR~"),
    *("POSCAR.orig", "CONTCAR.OLD", "a.cif.bak.gz", "POSCAR.tmp", "a.cif.1.rej"),
)


def test_back_ups_are_passed_over_unless_named(tmp_path):
    structure = cif("Cs1 Cs 0 0 0 1", "Cl1 Cl 0.5 0.5 0.5 1")
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("a.cif", *BACK_UPS):
        (folder / name).write_text(structure)
    for name in ("si.pwi", "OUTCAR"):
        (folder / name).write_text("of a program")
    with tarfile.open(tmp_path / "data.tar", "w") as tar:
        tar.add(folder, "data")
    for source in (folder, tmp_path / "data.tar"):
        records = list(read_sources(expand_sources([str(source)])))
        passed = {r.source_file.rpartition("/")[2]: r.structure for r in records}
        assert isinstance(passed.pop("a.cif"), Crystal)
        assert all(isinstance(one, NotAStructure) for one in passed.values())
        assert {name for name, one in passed.items() if one.error == "BackUp"} == set(BACK_UPS)
        assert "Quantum ESPRESSO" in passed["si.pwi"].message
        assert "beside it alone" in passed["OUTCAR"].message
    [named] = read_sources(expand_sources([str(folder / "a.cif~")]))
    assert isinstance(named.structure, Crystal) and named.material_id == "a.cif~"
