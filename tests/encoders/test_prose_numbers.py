"""The control: what regular expressions read from both generators' prose."""

from __future__ import annotations

import numpy as np
import pytest

from featurestore.crystal import Crystal
from ingest.encoders.load import load_encoder
from ingest.encoders.prose.reading import ABSENT, composition, labels, read
from ingest.text.registry import text_part

CHEMNLP = (
    "The chemical information include: The chemical has an atomic formula of MnBeV2 with a "
    "prototype of ABC2;Its molecular weight is 82.92 g/mol; The atomic fractions are {'Mn': 0.25, "
    "'Be': 0.25, 'V': 0.5}, and the atomic values X and Z are 1.55, 1.57, 1.63 and 25, 4, 23, "
    "respectively. The structure information include: The lattice parameters are 2.91, "
    "2.92, 5.21 with angles 90.0, 90.0, 120.0 degrees; The space group number is 99 with the "
    "symbol P4mm; The top K XRD peaks are found at 17.0, 30.7, 34.4, 35.3, 44.0 degrees; The "
    "material has a density of 6.233 g/cm³, crystallizes in a tetragonal system; The number of "
    "atoms in the primitive and conventional cells are 4 and 8, respectively; The bond "
    "distances are as follows: Mn-Mn: 2.91 , Mn-V: 2.29, 2.49 ."
)
ROBOCRYSTALLOGRAPHER = (
    "Ba(FeAs)2 is Ba(FeAs)2 structured and crystallizes in the cubic Fm-3m space group. There are "
    "three shorter (2.38 Å) and one longer (2.50 Å) Fe-As bond lengths. The tilt angles are 12°."
)


def values(text: str) -> dict[str, float]:
    names = [name for names in labels().values() for name in names]
    return dict(zip(names, read(text).tolist(), strict=True))


def test_what_chemnlp_states():
    found = values(CHEMNLP)
    assert [found[one] for one in ("Mn", "Be", "V", "O")] == [0.25, 0.25, 0.5, 0.0]
    expected = {
        "molecular weight": 82.92, "density": 6.233, "space group number": 99,
        "lattice parameter 1": 2.91, "lattice parameter 3": 5.21, "lattice angle 3": 120,
        "atoms in cells 1": 4, "atoms in cells 2": 8, "XRD peak 1": 17.0, "XRD peak 5": 44.0,
        "ChemNLP bond, least": 2.29, "ChemNLP bond, count": 3, "electronegativity, largest": 1.63,
        "atomic number, least": 4, "atomic number, count": 3, "fraction, largest": 0.5,
        "tetragonal": 1, "cubic": 0,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-6)


def test_what_robocrystallographer_states():
    found = values(ROBOCRYSTALLOGRAPHER)
    assert [found[one] for one in ("Ba", "Fe", "As")] == pytest.approx([0.2, 0.4, 0.4])
    assert found["length, count"] == 2 and found["length, mean"] == pytest.approx(2.44)
    assert found["angle, largest"] == 12 and found["cubic"] == 1 and found["tilt"] == 1
    assert found["density"] == found["lattice parameter 2"] == ABSENT


def test_a_text_without_numbers_or_formula():
    found = values("The structure is nice.")
    assert found["decimal, count"] == 0 and found["decimal, mean"] == ABSENT
    assert sum(found[one] for one in labels()["elements"]) == 0
    assert np.isfinite(read("")).all()


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("LiFePO4", {"Li": 1, "Fe": 1, "P": 1, "O": 4}),
        ("Ca3(PO4)2", {"Ca": 3, "P": 2, "O": 8}),
        ("The", {}),
        ("Ba(FeAs", {}),
        ("K)", {}),
        ("Na1.5", {"Na": 1.5}),
    ],
)
def test_formulas(formula, expected):
    assert composition(formula) == expected


def test_the_composition_alone_is_a_text_source_that_the_control_reads():
    made = text_part("composition").generator({})
    made.warm_up()
    salt = Crystal(5 * np.eye(3), ("Na", "Cl", "Na", "Cl"), np.arange(12).reshape(4, 3) / 12)
    [sentence] = made.describe(salt)
    assert sentence.text == "The material is ClNa." and sentence.tag == "formula"
    [vector] = load_encoder("prose-numbers").encode([sentence.text])
    place = labels()["elements"].index("Na")
    assert vector.vector[place] == 0.5
