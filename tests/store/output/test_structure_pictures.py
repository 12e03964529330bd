"""What is drawn of a crystal: bonds as chemists draw them, the cell, and the view to turn."""

from __future__ import annotations

import html
import json
import re
from collections import Counter

import numpy as np
import pytest

from featurestore.crystal import Crystal
from featurestore.output.bonds import bonded_sites
from featurestore.output.scene import scene
from featurestore.output.structure_picture import structure_svg
from featurestore.output.structure_viewer import structure_html

FCC = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
TWO = np.array([[0, 0, 0], [0.5, 0.5, 0.5]])
TETRAHEDRAL = np.array([[0, 0, 0], [0.25, 0.25, 0.25]])
PEROVSKITE = np.array([[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
RUTILE = np.array(
    [[0, 0, 0], [0.5] * 3]
    + [[x, x, 0] for x in (0.3, 0.7)]
    + [[0.8, 0.2, 0.5], [0.2, 0.8, 0.5]]
)  # fmt: skip
VSE2 = np.array([[0, 0, 0], [1 / 3, 2 / 3, 0.257], [2 / 3, 1 / 3, 0.743]])
HEXAGONAL = np.array([[3.35, 0, 0], [-1.675, 2.901, 0], [0, 0, 6.1]])
ICE = np.array([[0.5] * 3, [0.5 + 0.096, 0.5, 0.5], [0.476, 0.593, 0.5]])


def kinds(crystal: Crystal) -> dict[str, int]:
    """Bonds of one atom of an element to another, on average."""
    sites, _ = bonded_sites(crystal)
    counted = Counter((crystal.species[i], crystal.species[j]) for i, j in sites.tolist())
    of = Counter(crystal.species)
    return {f"{a}-{b}": n // of[a] for (a, b), n in counted.items()}


@pytest.mark.parametrize(
    ("lattice", "species", "coords", "expected"),
    [
        (5.64 * FCC, "Na Cl", TWO, {"Na-Cl": 6, "Cl-Na": 6}),
        (4.08 * FCC, "Li H", TWO, {"Li-H": 6, "H-Li": 6}),
        (5.70 * FCC, "K H", TWO, {"K-H": 6, "H-K": 6}),
        (3.57 * FCC, "C C", TETRAHEDRAL, {"C-C": 4}),
        (3.61 * FCC, "Cu", TWO[:1], {"Cu-Cu": 12}),
        (5.30 * FCC, "Ar", TWO[:1], {}),
        (2.87 * np.eye(3), "Fe Fe", TWO, {"Fe-Fe": 8}),
        (2.97 * np.eye(3), "Ni Al", TWO, {"Ni-Al": 8, "Al-Ni": 8}),
        (4.12 * np.eye(3), "Cs Cl", TWO, {"Cs-Cl": 8, "Cl-Cs": 8}),
        (3.905 * np.eye(3), "Sr Ti O O O", PEROVSKITE,
         {"Sr-O": 12, "Ti-O": 6, "O-Sr": 4, "O-Ti": 2}),
        # V-V chains at 2.85 Å: no bonds between cations.
        (np.diag([4.55, 4.55, 2.85]), "V V O O O O", RUTILE, {"V-O": 6, "O-V": 3}),
        (HEXAGONAL, "V Se Se", VSE2, {"V-Se": 6, "Se-V": 3}),
        (10 * np.eye(3), "O H H", ICE, {"O-H": 2, "H-O": 1}),
    ],
)  # fmt: skip
def test_coordination_numbers_are_those_of_textbooks(lattice, species, coords, expected):
    assert kinds(Crystal(np.array(lattice), tuple(species.split()), coords)) == expected


def test_a_bond_goes_both_ways_and_ends_in_the_right_cell():
    rng = np.random.default_rng(0)
    lattice = np.array([[4.0, 0, 0], [3.1, 2.9, 0], [-1.3, 0.7, 5.0]])
    crystal = Crystal(lattice, ("Na", "Cl", "Fe", "O", "H"), rng.uniform(-2, 2, (5, 3)))
    sites, shifts = bonded_sites(crystal)
    there = {(i, j, *s) for (i, j), s in zip(sites.tolist(), shifts.tolist(), strict=True)}
    assert there and all((j, i, -x, -y, -z) in there for i, j, x, y, z in there)
    coords = crystal.wrapped_coords
    apart = (coords[sites[:, 1]] + shifts - coords[sites[:, 0]]) @ lattice
    assert np.linalg.norm(apart, axis=1).max() < 4.5


def test_bonds_of_several_cells_cross_their_faces():
    one = Crystal(3.57 * FCC, ("C", "C"), TETRAHEDRAL)
    drawn = scene(one, (2, 2, 2))
    bonds = Counter(atom for pair in drawn.bonds for atom in pair)
    lengths = [np.linalg.norm(drawn.positions[a] - drawn.positions[b]) for a, b in drawn.bonds]
    assert np.allclose(lengths, 3.57 * np.sqrt(3) / 4)
    inner = [i for i, p in enumerate(drawn.positions @ np.linalg.inv(one.lattice))
             if ((p > 0.1) & (p < 1.9)).all()]  # fmt: skip
    assert len(inner) > 1 and {bonds[i] for i in inner} == {4}


def test_a_skewed_cell_has_its_bonds_across_what_is_drawn():
    drawn = scene(Crystal(4.048 * FCC, ("Al", "As"), TETRAHEDRAL))
    arsenic = drawn.species.index("As")
    assert sum(arsenic in pair for pair in drawn.bonds) == 4 and len(drawn.edges) == 12


def test_the_view_is_a_rotation_with_a_to_the_right_and_c_upwards():
    lattice = np.array([[3.0, 0, 0], [1.0, 4.0, 0], [0.5, -0.5, 6.0]])
    view = scene(Crystal(lattice, ("C",), np.zeros((1, 3)))).view
    assert np.allclose(view.T @ view, np.eye(3)) and np.linalg.det(view) == pytest.approx(1)
    a, _, c = lattice @ view
    assert a[0] > abs(a[1]) and c[1] > abs(c[0])


def test_a_thumbnail_has_no_legend_and_the_size_that_is_asked_for():
    drawn = structure_svg(Crystal(5.64 * FCC, ("Na", "Cl"), TWO), 120, legend=False)
    assert "<text" not in drawn and "<circle" in drawn
    width, height = (float(x) for x in re.search(r"viewBox='0 0 (\d+) (\d+)'", drawn).groups())
    assert max(width, height) == 120


def test_what_turns_in_a_notebook_is_shut_off_from_it():
    shown = structure_html(Crystal(5.64 * FCC, ("Na", "</script><b>"), TWO))
    assert shown.count("<svg") == 1, "where frames are left out"
    [inner] = re.findall(r'<iframe sandbox="allow-scripts" [^>]*srcdoc="([^"]*)"></iframe>', shown)
    assert "script" not in shown.replace(inner, "").replace("allow-scripts", "").replace(
        "&lt;/script&gt;", ""
    )
    page = html.unescape(inner)
    assert page.count("</script>") == 1 and page.endswith("</script>") and "<b>" not in page
    assert "default-src 'none'" in page and "http" not in page.replace("http-equiv", "")
    data = json.loads(re.search(r"const scene=(\{.*?\});\n?\(\(\)", page, re.DOTALL)[1])
    assert set(data["species"]) == {"Na", "</script><b>"}
    assert len(shown) < 12_000, "notebooks keep it"
