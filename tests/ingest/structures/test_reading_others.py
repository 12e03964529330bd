"""VASP's, pymatgen's, ASE's and extended XYZ files; ids; disorder; files in processes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from made_up_materials import crystal
from structure_texts import cif, counts, poscar, records, refused, rock_salt, said, stored

from featurestore.crystal import Crystal
from featurestore.errors import InvalidInputError
from featurestore.failure import Failure
from featurestore.machine.workers import WorkerPool
from ingest.structures.ids import IdRule, unique_ids
from ingest.structures.sources import expand_sources, read_sources

# POSCAR.


@pytest.mark.parametrize(
    ("changes", "a"),
    [
        ({}, 4),
        ({"scale": "2.0", "lattice": "2 0 0\n0 2 0\n0 0 2"}, 4),
        ({"scale": "-64", "lattice": "1 0 0\n0 1 0\n0 0 1"}, 4),
        ({"scale": "2 2 2", "lattice": "2 0 0\n0 2 0\n0 0 2"}, 4),
        ({"mode": "Cartesian", "sites": "0 0 0\n2 2 2"}, 4),
        ({"mode": "kartesisch", "sites": "0 0 0\n2 2 2"}, 4),
        (
            {
                "scale": "2",
                "lattice": "2 0 0\n0 2 0\n0 0 2",
                "mode": "Cartesian",
                "sites": "0 0 0\n1 1 1",
            },
            4,
        ),
        ({"mode": "Selective dynamics\nDirect", "sites": "0 0 0 T T F\n.5 .5 .5 F F F"}, 4),
        ({"species": "Cs_sv Cl_h"}, 4),
        ({"species": "Cs/1a2b3c Cl/4d5e6f"}, 4),
        ({"species": "Cs_sv_GW Cl.pbe"}, 4),
        ({"species": "Cs Cl ! species", "counts": "1 1 # of each"}, 4),
        ({"sites": "0 0 0 Cs\n.5 .5 .5 Cl"}, 4),
        ({"sites": "0 0 0\n.5 .5 .5\n\n0 0 0\n0 0 0"}, 4),  # velocities
        ({"sites": "0.0D0 0 0\n5.0d-1 .5 .5"}, 4),
    ],
)
def test_forms_of_a_poscar(tmp_path, changes, a):
    record = stored(tmp_path, "POSCAR", poscar(**changes))
    assert record.structure.structure_id == crystal(a).structure_id, said(record)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sites": "0 0 0\n.5 .5 .5\n.1 .1 .1"}, "announces 2 sites and lists more"),
        ({"sites": "0 0 0 Cl\n.5 .5 .5 Cs"}, "symbols behind the coordinates"),
        ({"species": "Cs Cl Br"}, "names 3 species"),
        ({"scale": "0"}, "is 0"),
        ({"scale": "1 -1 1"}, "none may be negative"),
        ({"lattice": "4 0 0\n4 0 0\n0 0 4"}, "span no volume"),
        ({"mode": "0 0 0", "sites": ".5 .5 .5"}, "Direct or Cartesian"),
        ({"counts": "0 0", "sites": ""}, "counts the atoms|has \\d lines"),
        ({"counts": "1e0 1"}, "counts|names|list species"),
    ],
)
def test_a_poscar_that_contradicts_itself(tmp_path, changes, words):
    import re

    assert re.search(words, refused(tmp_path, "a.vasp", poscar(**changes)).message)


@pytest.mark.parametrize("name", ["CHGCAR", "LOCPOT", "AECCAR0", "CONTCAR.relax2", "my_POSCAR"])
def test_files_that_begin_like_a_poscar(tmp_path, name):
    grid = "\n\n 2 2 2\n 1.0 2.0 3.0 4.0 5.0\n 6.0 7.0 8.0\n"
    assert counts(stored(tmp_path, name, poscar() + grid)) == {"Cl": 1, "Cs": 1}


VASPRUN = """<?xml version="1.0"?>
<modeling>
 <atominfo><array name="atoms"><set><rc><c>Cs</c><c>1</c></rc><rc><c>Cl</c><c>2</c></rc></set>
 </array></atominfo>
 <structure name="initialpos"><crystal><varray name="basis">
  <v>9 0 0</v><v>0 9 0</v><v>0 0 9</v></varray></crystal>
  <varray name="positions"><v>0 0 0</v><v>.5 .5 .5</v></varray></structure>
 <structure name="finalpos"><crystal><varray name="basis">
  <v>4 0 0</v><v>0 4 0</v><v>0 0 4</v></varray></crystal>
  <varray name="positions"><v>0 0 0</v><v>.5 .5 .5</v></varray></structure>
</modeling>
"""


def test_a_vasprun(tmp_path):
    import gzip

    record = stored(tmp_path, "vasprun.xml", VASPRUN)
    assert record.structure.structure_id == crystal().structure_id and not record.notes
    packed = stored(tmp_path, "vasprun.xml.gz", gzip.compress(VASPRUN.encode()))
    assert packed.structure.structure_id == crystal().structure_id
    cut = VASPRUN[: VASPRUN.index('<structure name="finalpos')]
    assert "cut off" in refused(tmp_path, "vasprun.xml", cut).message
    unfinished = stored(tmp_path, "vasprun.xml", cut + "</modeling>")
    assert "no final structure" in said(unfinished)
    other = VASPRUN.replace("<c>Cl</c>", "<c>X</c>")
    assert "'X', no element" in refused(tmp_path, "vasprun.xml", other).message


def test_xml_entities_do_not_grow(tmp_path):
    lines = ['<!ENTITY a0 "aaaaaaaaaa">']
    lines += [f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12)]
    bomb = f"<!DOCTYPE modeling [{''.join(lines)}]><modeling>&a11;</modeling>"
    assert refused(tmp_path, "vasprun.xml", bomb).error == "UnreadableFileError"


# JSON.


def structure(**changes: object) -> dict[str, object]:
    given = crystal()
    sites = [
        {"species": [{"element": symbol, "occu": 1}], "abc": list(point), "label": symbol}
        for symbol, point in zip(given.species, given.frac_coords.tolist(), strict=True)
    ]
    return {"lattice": {"matrix": given.lattice.tolist()}, "sites": sites} | changes


@pytest.mark.parametrize(
    "document",
    [
        structure(),
        structure(lattice={"a": 4, "b": 4, "c": 4, "alpha": 90, "beta": 90, "gamma": 90}),
        {"material_id": "mp-1", "structure": structure(), "band_gap": 1.0},
        {"@class": "ComputedStructureEntry", "structure": structure(), "energy": -3.2},
        [structure()],
        {"some-id": structure()},
        {"energy": {"0": 1.0}, "structure": {"0": structure()}},
        {"data": [{"material_id": "mp-1", "structure": structure()}], "meta": {}},
        structure(lattice={"matrix": {"@class": "array", "data": (np.eye(3) * 4).tolist()}}),
    ],
)
def test_forms_of_json(tmp_path, document):
    record = stored(tmp_path, "a.json", json.dumps(document))
    np.testing.assert_allclose(record.structure.lattice, crystal().lattice, atol=1e-9)
    assert record.structure.species == ("Cs", "Cl") and record.material_id == "a"


def test_a_list_of_documents_names_its_materials(tmp_path):
    documents = [
        {"material_id": f"mp-{number}", "structure": structure(), "slme": number}
        for number in (1, 2)
    ]
    first, second = records(tmp_path, "a.json", json.dumps(documents))
    assert (first.material_id, second.material_id) == ("mp-1", "mp-2")
    assert second.targets == {"slme": 2}
    documents.append({"material_id": "mp-3", "structure": {"sites": []}})
    assert [
        isinstance(one.structure, Failure)
        for one in records(tmp_path, "a.json", json.dumps(documents))
    ] == [False, False, True]


def test_one_odd_document_of_a_list_leaves_the_ids_of_the_others(tmp_path):
    documents = [{"material_id": name, "structure": structure()} for name in ("mp-1", "mp-2")]
    named = [one.material_id for one in records(tmp_path, "a.json", json.dumps([*documents, None]))]
    assert named == ["mp-1", "mp-2", "a/3"]
    doubled = records(tmp_path, "a.json", json.dumps([*documents, documents[0]]))
    assert [one.material_id for one in doubled] == named
    assert isinstance(doubled[2].structure, Failure)
    assert "a.json, block 3: its id 'mp-1' is that of structure 1" in doubled[2].structure.message
    unnamed = [{"structure": structure()}, *documents]
    assert [one.material_id for one in records(tmp_path, "a.json", json.dumps(unnamed))] == [
        *("a/1", "a/2", "a/3")
    ]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (structure(lattice={"matrix": (np.eye(3) * 4).tolist(), "a": 5, "b": 4, "c": 4,
                            "alpha": 90, "beta": 90, "gamma": 90}), "a, b, c are 5"),
        (structure(sites=[{"species": [{"element": "Na"}], "abc": [0, 0, 0], "xyz": [1, 0, 0]}]),
         "different points"),
        (structure(sites=[{"species": [{"element": "Vac"}], "abc": [0, 0, 0]}]), "no element"),
        (structure(sites=[{"species": [{"element": "Na"}]}]), "neither 'abc' nor 'xyz'"),
        (structure(sites=[{"species": [{"element": "Na", "occu": "1"}], "abc": [0, 0, 0]}]),
         "is no number"),
        (structure(sites=[{"abc": [0, 0, 0]}]), "lists no species"),
        (structure(sites=["x"]), "is no object"),
    ],
)  # fmt: skip
def test_json_that_contradicts_itself(tmp_path, document, words):
    assert words in refused(tmp_path, "a.json", json.dumps(document)).message


def test_deuterium_is_hydrogen_with_a_note(tmp_path):
    sites = [{"species": [{"element": "D", "occu": 1}], "abc": [0, 0, 0]}]
    for record in (
        stored(tmp_path, "a.json", json.dumps(structure(sites=sites))),
        stored(tmp_path, "a.cif", cif("D1 D 0 0 0 1")),
        stored(tmp_path, "a.vasp", poscar(species="D Cl")),
    ):
        assert counts(record)["H"] == 1 and "isotope" in said(record)


# Extended XYZ.


def test_extended_xyz(tmp_path):
    frame = '2\nLattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3\nCs 0 0 0\nCl 2 2 2\n'
    for name in ("a.extxyz", "a.xyz"):
        record = stored(tmp_path, name, frame)
        assert record.structure.structure_id == crystal().structure_id
    first, second, third = records(tmp_path, "b.xyz", frame + "1\nno lattice\nNa 0 0 0\n" + frame)
    assert isinstance(first.structure, Crystal) and isinstance(third.structure, Crystal)
    assert "not periodic" in second.structure.message
    assert (
        "announces 3 sites and 2 lines follow"
        in refused(tmp_path, "c.xyz", "3" + frame[1:]).message
    )
    assert "number of atoms" in refused(tmp_path, "d.xyz", "Cs 0 0 0\n").message
    for name, announced in (("e.xyz", "R:999999999"), ("f.xyz", "R:9999:forces:R:9999")):
        text = frame.replace("R:3", announced)
        assert "announces more than 10,000 columns" in refused(tmp_path, name, text).message


# CIF with more than a plain crystal.


def test_a_magnetic_cif(tmp_path):
    text = cif(*("Mn1 Mn 0 0 0 1", "O1 O .5 .5 .5 1"), symbol=None).replace(
        "loop_\n_atom_site_label",
        "loop_\n_space_group_symop_magn_operation.id\n_space_group_symop_magn_operation.xyz\n"
        "1 x,y,z,+1\n2 -x,-y,-z,+1\nloop_\n_space_group_symop_magn_centering.id\n"
        "_space_group_symop_magn_centering.xyz\n1 x,y,z,+1\n2 x+1/2,y+1/2,z+1/2,-1\n"
        "loop_\n_atom_site_label",
    )
    text = text.replace("O1 O .5 .5 .5", "O1 O .5 0 0")
    record = stored(tmp_path, "a.mcif", text)
    assert counts(record) == {"Mn": 2, "O": 2} and "magnetic" in said(record)


def test_a_supercell_listed_by_its_images_needs_a_formula(tmp_path):
    every = ("Na1 Na 0 0 0 1", "Na2 Na .5 .5 0 1", "Cl1 Cl .5 .5 .5 1")
    text = rock_salt().replace("Cl1 Cl 0.5 0.5 0.5 1", "\n".join(every[1:]))
    assert "symmetry images of others" in refused(tmp_path, "a.cif", text).message
    formula = "_chemical_formula_sum 'Na Cl'\n"
    record = stored(tmp_path, "a.cif", text.replace("loop_", formula + "loop_", 1))
    assert counts(record) == {"Cl": 4, "Na": 4} and "Na2 repeat" in said(record)


def test_multiplicities_are_compared(tmp_path):
    columns = ("label", "symmetry_multiplicity", "fract_x", "fract_y", "fract_z")
    text = cif("Na1 4 0 0 0", "Cl1 4 .5 .5 .5", columns=columns, symbol="F m -3 m")
    text = text.replace("4.0", "5.64")
    assert stored(tmp_path, "a.cif", text)
    other = text.replace("Na1 4", "Na1 8")
    assert "multiplicities" in refused(tmp_path, "a.cif", other).message


def test_a_cell_that_is_too_dense(tmp_path):
    text = cif("U1 U .1 .2 .3 1", cell=(2.9,) * 3 + (90,) * 3, symbol="P 1")
    text += "U2 U .6 .7 .8 1\nU3 U .1 .7 .8 1\nU4 U .6 .2 .8 1\n"
    assert refused(tmp_path, "a.cif", text).error in ("DensityError", "OverlapError")


# Disorder.


@pytest.mark.parametrize(
    ("sites", "expected"),
    [
        (("Na1 Na 0 0 0 0.7", "K1 K 0 0 0 0.3", "Cl1 Cl .5 .5 .5 1"), {"Cl": 1, "Na": 1}),
        (("Na1 Na 0 0 0 0.5", "K1 K 0 0 0 0.5", "Cl1 Cl .5 .5 .5 1"), {"Cl": 1, "K": 1}),
        (("Na1 Na 0 0 0 0.4", "Cl1 Cl .5 .5 .5 1"), {"Cl": 1}),
        (("Na1 Na 0 0 0 0.5", "Cl1 Cl .5 .5 .5 1"), {"Cl": 1, "Na": 1}),
    ],
)
def test_disorder_is_refused_or_ordered_by_the_rule(tmp_path, sites, expected):
    text = cif(*sites, more="_chemical_formula_sum 'Na0.7 K0.3 Cl'")
    assert refused(tmp_path, "a.cif", text).error == "DisorderError"
    record = stored(tmp_path, "a.cif", text, nearest_order=True)
    assert counts(record) == expected
    assert record.material_id == "a~ordered" and "ordered: site Na1" in said(record)
    assert stored(tmp_path, "b.cif", rock_salt(), nearest_order=True).material_id == "b"


# Ids.


@pytest.mark.parametrize(
    ("paths", "ids"),
    [
        (["a.cif", "b/c.cif"], ["a", "c"]),
        (["a.cif", "b/a.cif"], ["a", "b/a"]),
        (["x/1/POSCAR", "y/1/POSCAR"], ["x/1/POSCAR", "y/1/POSCAR"]),
        (["a.cif", "a.vasp"], ["a.cif", "a.vasp"]),
        (["a.cif", "a.cif.gz"], ["a.cif", "a.cif.gz"]),
        (["POSCAR.Ge", "POSCAR.Si"], ["POSCAR.Ge", "POSCAR.Si"]),
        (["x.y.cif", "README.md"], ["x.y", "README.md"]),
        (["run/vasprun.xml.gz"], ["vasprun"]),
    ],
)
def test_ids_are_as_long_as_they_must(paths, ids):
    assert unique_ids(paths) == ids


def write_runs(folder: Path) -> list[str]:
    for name, a in (("mp-1/POSCAR", 4.0), ("mp-2/POSCAR", 4.2), ("mp-3/CONTCAR", 4.4)):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(poscar(lattice=f"{a} 0 0\n0 {a} 0\n0 0 {a}"))
    return [str(folder)]


@pytest.mark.parametrize(
    ("way", "ids"),
    [
        ("stem", ["mp-1/POSCAR", "mp-2/POSCAR", "CONTCAR"]),
        ("path", ["mp-1/POSCAR", "mp-2/POSCAR", "mp-3/CONTCAR"]),
        ("formula", ["ClCs", "ClCs", "ClCs"]),
        ("regex:mp-[0-9]+", ["mp-1", "mp-2", "mp-3"]),
        ("regex:mp-([0-9]+)", ["1", "2", "3"]),
    ],
)
def test_ids_from_what_the_user_names(tmp_path, way, ids):
    found = read_sources(expand_sources(write_runs(tmp_path / "runs")), IdRule.parse(way))
    assert [one.material_id for one in found] == ids


def test_a_pattern_that_finds_nothing_is_a_failure(tmp_path):
    found = read_sources(expand_sources(write_runs(tmp_path)), IdRule.parse("regex:mp-[12]"))
    last = list(found)[-1]
    assert isinstance(last.structure, Failure) and "finds no id" in last.structure.message


@pytest.mark.parametrize("way", ["name", "regex", "regex:(", "stem:x", ""])
def test_ways_that_are_none(way):
    with pytest.raises(InvalidInputError):
        IdRule.parse(way)


def test_files_named_one_by_one_are_told_apart(tmp_path):
    write_runs(tmp_path)
    (tmp_path / "mp-3" / "POSCAR").write_text(poscar())
    named = [str(tmp_path / f"mp-{number}" / "POSCAR") for number in (1, 2, 3)]
    for sources in (named, [str(tmp_path / "*" / "POSCAR")], [*named, *named]):
        found = list(read_sources(expand_sources(sources)))
        assert [one.material_id for one in found] == [f"mp-{n}/POSCAR" for n in (1, 2, 3)]


def test_files_in_processes_are_those_read_here(tmp_path):
    write_runs(tmp_path)
    (tmp_path / "bad.cif").write_text("data_x\n")
    (tmp_path / "README").write_text("text")
    (tmp_path / "a.cif").write_text(rock_salt())
    files = expand_sources([str(tmp_path)])
    here = list(read_sources(files))
    with WorkerPool(2) as pool:
        there = list(read_sources(files, pool=pool))
    assert [one.material_id for one in there] == [one.material_id for one in here]
    for one, other in zip(here, there, strict=True):
        assert type(one.structure) is type(other.structure)
        if isinstance(one.structure, Crystal):
            assert one.structure.structure_id == other.structure.structure_id
        else:
            assert one.structure == other.structure
