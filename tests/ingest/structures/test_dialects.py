"""Habits of other programs: VASP 4's comments, ICSD's and SHELX's columns, documents."""

from __future__ import annotations

import json
from typing import Any

import pytest
from structure_texts import CUBE, cif, counts, poscar, refused, rock_salt, said, stored

from ingest.structures.analysis import Analysis, analyse
from ingest.structures.stated import parse_formula

WITH_GROUP = ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy")
BRUCITE = {"cell": (3.142, 3.142, 4.766, 90, 90, 120), "symbol": "P -3 m 1"}


def vasp4(comment: str, number: str) -> str:
    """A POSCAR without a line of species."""
    places = ("0 0 0", "0.5 0.5 0.5", "0.5 0.5 0", "0.5 0 0.5", "0 0.5 0.5")
    sites = "\n".join(places[: sum(map(int, number.split()))])
    return poscar(comment=comment, species=None, counts=number, sites=sites)


@pytest.mark.parametrize(
    ("comment", "number"),
    [
        *(("K points convergence", "2"), ("U = 4 eV", "2"), ("Re: your file", "2")),
        *(("No H atoms", "1 1"), ("I V curve", "1 1"), ("In P 1 symmetry", "1 1")),
        *(("BCC test", "1 2"), ("NO relaxation of the cell", "1 1"), ("B site ordered", "2")),
        ("CS CL", "1 1"),
    ],
)
def test_words_of_a_comment_are_no_species(tmp_path, comment, number):
    assert refused(tmp_path, "POSCAR", vasp4(comment, number)).error == "UnknownElementError"


@pytest.mark.parametrize(
    ("comment", "number", "expected"),
    [
        ("Si diamond", "2", {"Si": 2}),
        ("C", "2", {"C": 2}),
        ("CS molecules", "1 1", {"C": 1, "S": 1}),
        ("In P", "1 1", {"In": 1, "P": 1}),
        ("Cs Cl from VESTA", "1 1", {"Cl": 1, "Cs": 1}),
        ("Mg(OH)2", "1 2 2", {"H": 2, "Mg": 1, "O": 2}),
    ],
)
def test_symbols_of_a_comment_are(tmp_path, comment, number, expected):
    assert counts(stored(tmp_path, "POSCAR", vasp4(comment, number))) == expected


def test_a_trajectory_is_no_structure(tmp_path):
    text = poscar(mode="Direct configuration=     1")
    assert counts(stored(tmp_path, "CONTCAR", text)) == {"Cl": 1, "Cs": 1}
    more = "Direct configuration=     2\n0.1 0 0\n0.5 0.5 0.5\n"
    assert "trajectory" in refused(tmp_path, "XDATCAR", text + more).message


@pytest.mark.parametrize(
    ("formula", "amounts"),
    [
        ("Mg(OH)2", {"Mg": 1, "O": 2, "H": 2}),
        ("Ca [Fe (C N)6] (H2 O)2", {"Ca": 1, "Fe": 1, "C": 6, "N": 6, "H": 4, "O": 2}),
        ("O2.00(3) Mg(OH).5", {"O": 2.5, "Mg": 1, "H": 0.5}),
        *((wrong, None) for wrong in ("Mg(OH", "Mg(OH)2-", "Mg(Xx)2", "()2", "Mg(OH)0")),
    ],
)
def test_groups_in_formulas(formula, amounts):
    assert parse_formula(formula) == amounts


@pytest.mark.parametrize(
    "symbol",
    [
        *("F m -3 m (225)", "F m 3\u0304 m", "F m \u0305 3 m", "F 4/m 3bar 2/m", "FM-3M"),
        *("F m -3 m (No. 225)", "Fm3m", "Fm\u22123m"),
    ],
)
def test_spellings_of_a_space_group(tmp_path, symbol):
    assert counts(stored(tmp_path, "a.cif", rock_salt(symbol=symbol))) == {"Cl": 4, "Na": 4}


def test_a_quoted_question_mark_names_no_group(tmp_path):
    record = stored(tmp_path, "a.cif", rock_salt(symbol="?", more="_space_group_IT_number 225"))
    assert counts(record) == {"Cl": 4, "Na": 4}


def test_hydrogen_that_icsd_attaches_to_a_site(tmp_path):
    sites = ("Mg1 Mg2+ 0 0 0 1 0", "O1 O2- 0.3333 0.6667 0.22 1 1")
    columns = (*WITH_GROUP, "attached_hydrogens")
    failure = refused(tmp_path, "a.cif", cif(*sites, columns=columns, **BRUCITE))
    assert failure.error == "CompositionError" and "1 H atoms each" in failure.message
    whole = cif(
        *sites,
        "H1 H1+ 0.3333 0.6667 0.42 1 0",
        columns=columns,
        more="_chemical_formula_sum 'H2 Mg O2'",
        **BRUCITE,
    )
    assert "hydrogen: O1" in said(stored(tmp_path, "a.cif", whole))


def test_alternative_groups_of_a_refinement(tmp_path):
    sites = ("C1 C 0.1 0.1 0.1 1 1", "C2 C 0.4 0.1 0.1 1 2")
    options: dict[str, Any] = {"columns": (*WITH_GROUP, "disorder_group"), "symbol": "P 1"}
    options["cell"] = (8, 8, 8, 90, 90, 90)
    failure = refused(tmp_path, "a.cif", cif(*sites, **options))
    assert failure.error == "DisorderError" and "alternative" in failure.message
    agreeing = cif(*sites, more="_chemical_formula_sum C\n_cell_formula_units_Z 2", **options)
    assert "disorder: C1, C2" in said(stored(tmp_path, "a.cif", agreeing))
    alone = [site.replace("1 2", "1 1") for site in sites]
    assert "disorder" not in said(stored(tmp_path, "a.cif", cif(*alone, **options)))


@pytest.mark.parametrize(
    ("sites", "more", "note"),
    [
        (("Fe1 Fe2+ 0 0 0 0.5", "Fe2 Fe3+ 0 0 0 0.5"), "", "parts of Fe at one place"),
        (("Fe1 Zn2+ 0 0 0 1",), "", "label: Fe1: read as Zn"),
        (("Zn1 Zn2+ 0 0 0 1",), "_exptl_crystal_density_diffrn 3.0", "density: the file says 3"),
    ],
)
def test_what_is_odd_is_noted(tmp_path, sites, more, note):
    text = cif(*sites, cell=(2.9, 2.9, 2.9, 90, 90, 90), more=more)
    assert note in said(stored(tmp_path, "a.cif", text))


def test_a_cell_in_another_unit_of_length(tmp_path):
    bohr = tuple(edge / 0.529177 for edge in CUBE[:3]) + CUBE[3:]
    crystal = stored(tmp_path, "a.cif", rock_salt(cell=bohr)).structure
    found = analyse(crystal)  # type: ignore[arg-type]
    assert isinstance(found, Analysis) and "wrong unit of length" in "; ".join(found.notes)


def document(**more: Any) -> str:
    sites = [
        {"species": [{"element": symbol, "occu": 1}], "abc": [place] * 3}
        for symbol, place in (("Cs", 0.0), ("Cl", 0.5))
    ]
    lattice = {"matrix": [[4, 0, 0], [0, 4, 0], [0, 0, 4]]} | more.pop("lattice", {})
    return json.dumps({"structure": {"lattice": lattice, "sites": sites}} | more)


@pytest.mark.parametrize(
    "more",
    [
        *({"formula_pretty": "NaCl"}, {"formula": "Cs2Cl"}, {"composition": {"Cs": 1, "Br": 1}}),
        {"composition_reduced": {"Cs": 1.0}},
    ],
)
def test_a_document_of_another_formula(tmp_path, more):
    failure = refused(tmp_path, "a.json", document(**more))
    assert failure.error == "CompositionError" and next(iter(more)) in failure.message


def test_a_document_of_another_cell(tmp_path):
    record = stored(tmp_path, "a.json", document(nsites=4, volume=128.0, formula_pretty="CsCl"))
    assert "says 4 sites, its structure has 2" in said(record)
    assert "volume is 128 Å³" in said(record)
    right = document(nsites=2, volume=64.0, composition={"Cs": 3, "Cl": 3}, formula="ABO3 (x)")
    assert not stored(tmp_path, "a.json", right).notes


def test_a_lattice_that_is_not_periodic(tmp_path):
    text = document(lattice={"pbc": [True, True, False]})
    assert refused(tmp_path, "a.json", text).error == "NoStructureError"


def test_ids_in_a_document(tmp_path):
    one = json.loads(document())
    from structure_texts import records

    listed = [one | {"id": name} for name in ("good", "line\nbreak", "x" * 300)]
    good, broken, long = records(tmp_path, "a.json", json.dumps(listed))
    assert good.material_id == "good"
    assert broken.material_id == "a/2" and broken.structure.error == "NoIdError"  # type: ignore[union-attr]
    assert long.material_id == "a/3" and "more than 200" in long.structure.message  # type: ignore[union-attr]


XSF = "{}\nPRIMVEC\n4 0 0\n0 4 0\n0 0 4\nPRIMCOORD\n2 1\nCs 0 0 0\nCl 2 2 2\n"
CFG = (
    "Number of particles = 2\nA = {} Angstrom\n"
    + "".join(f"H0({i},{j}) = {4 if i == j else 0} A\n" for i in (1, 2, 3) for j in (1, 2, 3))
    + ".NO_VELOCITY.\nentry_count = 3\n132.9\nCs\n0 0 0\n35.45\nCl\n0.5 0.5 0.5\n"
)
CL = "Cl 2 .5 .5 .5 1\n"
RES = (
    "TITL a 0 64 -8 0 0 2 (P1) n - 1\nCELL 1 4 4 4 90 90 90\n{}SFAC Cs Cl\nCs 1 0 0 0 1\n"
    f"{CL}END\n"
)
CSSR = " 4.1 4.1 4.1\n 90 90 90 SPGR = {} 1\n{} 0\n0 CsCl\n1 Cs 0.0 0.0 0.0\n2 Cl {} 0.5 0.5\n"


@pytest.mark.parametrize(
    ("name", "good", "bad", "error"),
    [
        ("a.xsf", XSF.format("CRYSTAL"), XSF.format("SLAB"), "NoStructureError"),
        ("a.xsf", XSF.format("CRYSTAL"), XSF.format("DIM-GROUP\n2 1"), "NoStructureError"),
        ("a.xsf", XSF.format("CRYSTAL"), XSF.format("ANIMSTEPS 1\nCRYSTAL"), "NoStructureError"),
        ("a.cfg", CFG.format("1.0"), CFG.format("0.529"), "UnreadableFileError"),
        ("a.cfg", CFG.format("1"), CFG.format("one"), "UnreadableFileError"),
        ("a.res", RES.format("LATT -1\n"), RES.format("LATT 1\n"), "SymmetryError"),
        ("a.res", RES.format(""), RES.format("LATT -1\nSYMM -X,Y,Z\n"), "SymmetryError"),
        ("a.res", RES.format(""), RES.format("").replace(CL, ""), "UnreadableFileError"),
        ("a.cssr", CSSR.format(1, 2, 0.5), CSSR.format(221, 2, 0.5), "SymmetryError"),
        ("a.cssr", CSSR.format(1, 2, 0.5), CSSR.format(1, 8, 0.5), "UnreadableFileError"),
        ("a.cssr", CSSR.format(1, 2, 0.5), CSSR.format(1, 2, "5.0e-1"), "UnreadableFileError"),
    ],
)
def test_what_libraries_pass_over(tmp_path, name, good, bad, error):
    stored(tmp_path, name, good)
    assert refused(tmp_path, name, bad).error == error


@pytest.mark.parametrize("place", [".5", "5.0e-1", "1E-05"])
def test_res_is_compared_with_ase(tmp_path, place):
    text = RES.format("").replace("Cs 1 0 0 0 1", f"Cs 1 {place} 0 0 1")
    assert stored(tmp_path, "a.res", text).notes == ()


def test_a_symbol_that_ase_does_not_know(tmp_path):
    text = '2\nLattice="4 0 0 0 4 0 0 0 4"\nD 0 0 0\nCl 2 2 2\n'
    assert "it names 'D', no element" in refused(tmp_path, "a.extxyz", text).message
