"""Which structures are refused, and the symmetry and names of those that are not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_materials import crystal

from featurestore.crystal import Crystal
from ingest.sample import sample_archive
from ingest.structures.analysis import analyse
from ingest.structures.checks import check_structure
from ingest.structures.composition import composition_prototype, reduced_formula
from ingest.structures.elements import ELEMENTS
from ingest.structures.jarvis import read_jarvis
from ingest.structures.refusals import InvalidStructureError, OverlapError
from ingest.structures.symmetry import crystal_system, symmetry


def cell(lattice, coords, species=None) -> Crystal:
    coords = np.array(coords, dtype=float).reshape(-1, 3)
    return Crystal(np.array(lattice, dtype=float), tuple(species or ["Na"] * len(coords)), coords)


CUBE = np.eye(3) * 4
# The third vector nearly repeats the sum of the others: the planes are 0.4 Å apart.
SKEWED = [[4, 0, 0], [0, 4, 0], [4, 4, 0.4]]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (cell(CUBE, []), "no atoms"),
        (cell(CUBE, [[0, 0, 0], [0.01, 0, 0]]), r"site 0 \(Na\) and site 1 \(Na\) are 0.040 Å"),
        (cell(CUBE, [[0.99, 0, 0.5], [0.01, 0, 0.5]]), "are 0.080 Å apart"),
        (cell(CUBE, [[0, 0.99, 0.99], [0, 0.01, 0.01]]), "overlapping atoms"),
        (cell(CUBE, [[0, 0, 0], [3, -2, 5]]), "are 0.000 Å apart"),
        (cell(CUBE * 0.1, [[0, 0, 0]]), "site 0 .* and site 0"),
        (cell(SKEWED, [[0, 0, 0]]), "site 0 .* and site 0 .* are 0.400 Å"),
        (cell(CUBE * [1, 1, 0], [[0, 0, 0]]), "zero volume"),
        (cell(np.zeros((3, 3)), [[0, 0, 0]]), "zero volume"),
        (cell([[4, 0, 0], [0, 4, 0], [4, 4, 0.01]], [[0, 0, 0]]), "zero volume"),
        (cell(CUBE, [[0, 0, 0]], ["Xx"]), "unknown element 'Xx'"),
        (cell(CUBE, [[0, 0, 0]], [""]), "unknown element ''"),
        (cell(CUBE, [[0, 0, 0]], ["na"]), "unknown element 'na'"),
        (cell(CUBE, [[0, 0, 0]], ["D"]), "unknown element 'D'"),
        (cell(CUBE, [[0, 0, float("nan")]]), "NaN or infinity"),
        (cell(np.full((3, 3), np.inf), [[0, 0, 0]]), "NaN or infinity"),
        (cell(CUBE, [[0, 0, 0]], ["Na", "Cl"]), r"\(1, 3\) for 2 species"),
        (cell(np.eye(2), [[0, 0, 0]]), r"lattice has shape \(2, 2\)"),
    ],
)
def test_what_is_no_crystal(bad, message):
    with pytest.raises(InvalidStructureError, match=message):
        check_structure(bad)


@pytest.mark.parametrize(
    "good",
    [
        crystal(),
        cell(CUBE, [[0, 0, 0], [0.5, 0.2, 0]]),
        cell([[4, 0, 0], [0, 4, 0], [40, 40, 4]], [[0, 0, 0]]),
        cell(-CUBE, [[0, 0, 0]]),
        cell(CUBE * 0.7, [[7.5, -3.25, 0]]),
    ],
)
def test_what_is_one(good):
    check_structure(good)


def test_overlaps_are_those_of_all_periodic_images():
    """Against the distances to 25 × 25 × 25 images, in cells from cubic to very skewed."""
    steps = np.stack(np.meshgrid(*[np.arange(-12, 13)] * 3, indexing="ij"), -1).reshape(-1, 3)
    generator = np.random.default_rng(0)
    verdicts = []
    while len(verdicts) < 100:
        lattice = np.tril(generator.uniform(-6, 6, (3, 3)))
        lattice[np.diag_indices(3)] = generator.uniform(0.6, 3, 3)
        if (1 / np.linalg.norm(np.linalg.inv(lattice), axis=0)).min() < 0.1:
            continue
        coords = generator.uniform(-1, 2, (3, 3))
        images = (coords[:, None, None] - coords[None, :, None] + steps) @ lattice
        distances = np.linalg.norm(images, axis=-1)
        distances[np.arange(3), np.arange(3), len(steps) // 2] = np.inf  # an atom and itself
        try:
            check_structure(cell(lattice, coords, ["H"] * 3))
            found = False
        except InvalidStructureError as error:
            found = isinstance(error, OverlapError)
        assert found == (distances.min() < 0.5), (lattice, coords)
        verdicts.append(found)
    assert 10 < sum(verdicts) < 90


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(-1e3, 1e3), min_size=9, max_size=9),
    st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=6, max_size=6),
    st.lists(st.sampled_from(["Na", "Cl", "X", ""]), min_size=2, max_size=2),
)
def test_any_numbers_give_a_symmetry_or_a_reason(lattice, coords, species):
    analyse(cell(np.reshape(lattice, (3, 3)), coords, species))


def test_elements_are_those_of_pymatgen():
    from pymatgen.core.periodic_table import Element

    assert {element.value for element in Element} - {"D", "T"} == ELEMENTS


@pytest.mark.slow
def test_crystal_systems_are_those_of_pymatgen():
    from pymatgen.symmetry.groups import SpaceGroup

    for number in range(1, 231):
        assert crystal_system(number) == SpaceGroup.from_int_number(number).crystal_system, number


def test_symmetry_is_that_of_pymatgen():
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

    from ingest.structures.convert import to_pymatgen

    systems = set()
    for record in read_jarvis(sample_archive()):
        ours = symmetry(record.structure)
        theirs = SpacegroupAnalyzer(to_pymatgen(record.structure))
        assert ours.space_group_number == theirs.get_space_group_number()
        assert ours.space_group == theirs.get_space_group_symbol()
        assert ours.point_group == theirs.get_point_group_symbol()
        assert ours.crystal_system == theirs.get_crystal_system()
        systems.add(ours.crystal_system)
    assert len(systems) >= 6


@pytest.mark.parametrize(
    ("species", "formula", "prototype"),
    [
        (["V", "Se", "Se"], "Se2V", "AB2"),
        (["Cl", "Na"], "ClNa", "AB"),
        (["Li", "Ce", "O", "O"] * 4, "CeLiO2", "ABC2"),
        (["Fe"] * 3, "Fe", "A"),
        (["O"] * 3 + ["Al"] * 2, "Al2O3", "A2B3"),
        (["H"] * 10 + ["C"] * 4, "C2H5", "A2B5"),
    ],
)
def test_formula_and_prototype(species, formula, prototype):
    assert reduced_formula(species) == formula
    assert composition_prototype(species) == prototype


@settings(max_examples=50)
@given(
    st.dictionaries(st.sampled_from(sorted(ELEMENTS)), st.integers(1, 9), min_size=1, max_size=30),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_formula_forgets_order_and_multiples(amounts, multiple, shuffler):
    species = [symbol for symbol, amount in amounts.items() for _ in range(amount)]
    larger = species * multiple
    shuffler.shuffle(larger)
    assert reduced_formula(larger) == reduced_formula(species)
    assert composition_prototype(larger) == composition_prototype(species)
    assert len(set(larger)) == sum(c.isupper() for c in reduced_formula(larger))
