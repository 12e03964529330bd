"""What a chemist is told of a broken file: words about the file, none of Python's."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest
from structure_texts import poscar, records, refused, rock_salt, stored
from test_dialects import CFG, CSSR, RES, XSF

from featurestore.failure import Failure
from ingest.structures.readers.in_words import in_words

AIMS = "lattice_vector 4 0 0\nlattice_vector 0 4 0\nlattice_vector 0 0 4\natom 0 0 0 Cs\n"
XYZ = '2\nLattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3\nCs 0 0 0\nCl 2 2 2\n'
SEEDS = {
    **{"a.xsf": XSF.format("CRYSTAL"), "a.cfg": CFG.format("1.0"), "a.res": RES.format("")},
    **{"a.cssr": CSSR.format(1, 2, 0.5), "geometry.in": AIMS, "a.extxyz": XYZ},
    **{"a.cif": rock_salt(), "a.vasp": poscar()},
}
PYTHON = re.compile(
    r"\b\w*(?:Error|Exception|Iteration)\b|NoneType|\bint\(|unpack|out of range|subscript"
    r"|literal|convert string|dtype|ndarray|'str'|positional argument|NotImplemented"
)


@pytest.mark.parametrize("name", SEEDS)
def test_no_word_of_python_is_said(tmp_path, name):
    chance = random.Random(name)
    said = 0
    for _ in range(40):
        lines = [line.split() for line in SEEDS[name].splitlines()]
        line = chance.choice([line for line in lines if line])
        place = chance.randrange(len(line))
        line[place : place + chance.choice((0, 1))] = chance.choice(
            ([], ["word"], ["-1"], ["*****"], ["1e999"], ["2", "2"])
        )
        text = "\n".join(map(" ".join, lines[: chance.choice((None, None, None, -1, -3))])) + "\n"
        for record in records(tmp_path, name, text):
            structure = record.structure
            sentences = [structure.message] if isinstance(structure, Failure) else record.notes
            said += len(sentences)
            assert not [one for one in sentences if PYTHON.search(one)]
    assert said > 10


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("Cl 2 zwei 2", "line 8 has 'zwei' where a number is due (pos)"),
        ("Cl 2 2", "line 8 has 3 fields, its columns (species, pos) are 4"),
    ],
)
def test_the_line_of_a_frame_is_named(tmp_path, row, words):
    broken = XYZ.replace("Cl 2 2 2", row)
    good, bad = records(tmp_path, "a.extxyz", XYZ + broken)
    assert not isinstance(good.structure, Failure)
    assert isinstance(bad.structure, Failure)
    assert bad.structure.message == f"a.extxyz, block 2: {words}"


@pytest.mark.parametrize(
    ("there", "instead", "words"),
    [
        ("pos:R:3", "pos:R", "columns that are not name:kind:number: 'species:S:1:pos:R'"),
        ("pos:R:3", "place:R:3", "line 2 announces no positions"),
        ("species:S", "element:S", "line 2 announces no elements"),
        ("Cl 2 2 2", "Cl 2 2 2 2", "line 4 has 5 fields, its columns (species, pos) are 4"),
        ("pos:R:3", "pos:R:2:Z:I:1", "line 2 announces no positions"),
        (
            "species:S:1:pos:R:3\nCs",
            "Z:I:1:species:S:1:pos:R:3\n17 Cs",
            "has the atomic number '17'",
        ),
    ],
)
def test_columns_that_ase_passes_over(tmp_path, there, instead, words):
    assert words in refused(tmp_path, "a.extxyz", XYZ.replace(there, instead)).message


def test_pythons_and_librarys_sentences():
    def said(error: type[Exception], code: str) -> str:
        with pytest.raises(error) as raised:
            eval(code, {"np": np})
        return in_words(raised.value)

    assert said(ValueError, "float('1,5')") == "'1,5' where a number is due"
    assert said(ValueError, "int('x')") == "'x' where a whole number is due"
    assert said(IndexError, "[][1]") == "it ends early, or a line has too few fields"
    assert said(ValueError, "np.ones(5).reshape(3, 3)").startswith("5 numbers, which fill no table")
    assert said(AttributeError, "None.x") == "something is missing that others need"
    assert said(KeyError, "{}['cell']") == "it names 'cell', which is not known"
    assert in_words(AssertionError("CRYSTAL")) == in_words(ValueError("odd")) == in_words(OSError())
    assert in_words(ValueError("No data in this file")) == "No data in this file"


@pytest.mark.parametrize("name", ["a.cif", "a.vasp", "a.extxyz"])
def test_typeset_signs_are_read_with_a_note(tmp_path, name):
    plain = {"a.cif": rock_salt(), "a.vasp": poscar(), "a.extxyz": XYZ}[name]
    there = plain.replace("0.5 0.5 0.5", "-0.5 -.5 0.5").replace("Cl 2", "Cl -2")
    assert there != plain
    typeset = there.replace("-0", "\N{MINUS SIGN}0").replace("-.", "\N{EN DASH}.")
    typeset = typeset.replace("Cl -2", "Cl\N{NO-BREAK SPACE}\N{MINUS SIGN}2")
    typeset = typeset.replace("'F m", "\N{LEFT SINGLE QUOTATION MARK}F m")
    record, same = stored(tmp_path, name, typeset), stored(tmp_path, f"b{name}", there)
    assert record.structure.structure_id == same.structure.structure_id
    assert [note for note in record.notes if note.startswith("encoding: typeset")]


def test_a_dash_in_a_text_is_no_sign(tmp_path):
    text = rock_salt(more="_publ_section_title 'Salt \N{EN DASH}1'")
    assert not [note for note in stored(tmp_path, "a.cif", text).notes if "encoding" in note]
    assert stored(tmp_path, "b.cif", rock_salt() + "\x1a").structure
