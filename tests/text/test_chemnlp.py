from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.crystal import Crystal
from featurestore.errors import InvalidInputError
from featurestore.plugins import TEXTS, load_part
from featurestore.testing import TextContract
from ingest.sample import sample_archive
from ingest.structures.convert import to_jarvis, to_pymatgen
from ingest.structures.jarvis import read_jarvis
from ingest.text.base import TextPart
from ingest.text.chemnlp import ChemNLP
from ingest.text.registry import generator
from ingest.text.xrd import ANGLE_TOLERANCE, _first_of_peak


def text_of(crystal: Crystal) -> str:
    return " ".join(sentence.text for sentence in ChemNLP().describe(crystal))


def archived(path: Path, n: int) -> list[tuple[str, Crystal]]:
    records = [record for record in read_jarvis(path) if isinstance(record.structure, Crystal)]
    step = max(1, len(records) // n)
    return [(record.material_id, record.structure) for record in records[::step][:n]]


def test_the_wording_is_the_papers(crystals: dict[str, Crystal]) -> None:
    assert text_of(crystals["rock salt"]) == (
        "The chemical information include: The chemical has an atomic formula of NaCl with a "
        "prototype of AB;Its molecular weight is 29.22 g/mol; The atomic fractions are "
        "{'Na': 0.5, 'Cl': 0.5}, and the atomic values X and Z are 0.93, 3.16 and 11, 17, "
        "respectively. The structure information include: The lattice parameters are 3.99, 3.99, "
        "3.99 with angles 60.0, 60.0, 60.0 degrees; The space group number is 225 with the symbol "
        "Fm-3m; The top K XRD peaks are found at 27.4, 31.7, 45.5, 53.9, 56.5 degrees; The "
        "material has a density of 2.164 g/cm³, crystallizes in a cubic system, and has a point "
        "group of m-3m; The Wyckoff positions are a, b; The number of atoms in the primitive and "
        "conventional cells are 2 and 8, respectively; The bond distances are as follows: "
        "Cl-Na: 2.82 , Na-Na: 3.99 , Cl-Cl: 3.99 ."
    )


def test_texts_are_those_of_the_plain_analyses(
    crystals: dict[str, Crystal], plain: ModuleType
) -> None:
    for name, crystal in crystals.items():
        assert text_of(crystal) == plain.plain_chemnlp(crystal), name


@pytest.mark.slow
def test_texts_of_the_sample_are_those_of_the_plain_analyses(plain: ModuleType) -> None:
    sample = archived(sample_archive(), 60)
    assert len(sample) == 60
    for name, crystal in sample:
        assert text_of(crystal) == plain.plain_chemnlp(crystal), name


@pytest.mark.shared
def test_texts_of_real_materials_are_those_of_the_plain_analyses(
    shared_folder: Path, plain: ModuleType
) -> None:
    for name, crystal in archived(shared_folder / "data" / "mp_formation_energy.json.zip", 60):
        assert text_of(crystal) == plain.plain_chemnlp(crystal), name


def test_sections_are_tagged(crystals: dict[str, Crystal]) -> None:
    sentences = generator("chemnlp").describe(crystals["dry ice"])
    tags = ["chemical info"] * 2 + ["structure info"] * 6 + ["bond length"]
    assert [sentence.tag for sentence in sentences] == tags
    assert all(sentence.reference_tags == (sentence.tag,) for sentence in sentences)


def test_a_crystal_without_near_atoms_has_an_empty_list_of_bonds() -> None:
    lonely = Crystal(np.eye(3) * 9.0, ("He",), np.zeros((1, 3)))
    assert text_of(lonely).endswith("The bond distances are as follows: .")


def test_an_element_that_jarvis_does_not_know_is_an_error() -> None:
    crystal = Crystal(np.eye(3) * 4.0, ("Xx",), np.zeros((1, 3)))
    with pytest.raises(InvalidInputError, match="ChemNLP cannot describe"):
        ChemNLP().describe(crystal)


def test_a_hexagonal_cell_of_equal_sides_counts_once(plain: ModuleType) -> None:
    hexagonal = [[3.0, 0.0, 0.0], [-1.5, 3.0 * 3**0.5 / 2, 0.0], [0.0, 0.0, 3.0]]
    crystal = Crystal(np.array(hexagonal), ("Ti",), np.zeros((1, 3)))
    text = text_of(crystal)
    assert "primitive and conventional cells are 1 and 1, respectively" in text
    assert text == plain.plain_chemnlp(crystal)


angles = st.lists(
    st.integers(0, 60).map(lambda k: 20.0 + k * ANGLE_TOLERANCE / 4), min_size=1, max_size=30
)


@given(angles)
def test_reflections_join_the_first_peak_within_the_tolerance(values: list[float]) -> None:
    started: list[int] = []
    expected = []
    for k, value in enumerate(values):
        near = [s for s in started if abs(values[s] - value) < ANGLE_TOLERANCE]
        started += [] if near else [k]
        expected.append(near[0] if near else k)
    assert _first_of_peak(np.array(values)).tolist() == expected


def test_conversions_keep_every_bit_and_the_order(crystals: dict[str, Crystal]) -> None:
    crystal = crystals["tilted perovskite"]
    structure, atoms = to_pymatgen(crystal), to_jarvis(crystal)
    assert np.array_equal(structure.lattice.matrix, crystal.lattice)
    assert np.array_equal(structure.frac_coords, crystal.frac_coords)
    assert tuple(site.specie.symbol for site in structure) == crystal.species
    assert np.array_equal(atoms.lattice_mat, crystal.lattice)
    assert np.array_equal(atoms.frac_coords, crystal.frac_coords)
    assert tuple(atoms.elements) == crystal.species


class TestChemNLP(TextContract):
    @pytest.fixture
    def part(self) -> TextPart:
        return load_part(TEXTS, "chemnlp", TextPart)
