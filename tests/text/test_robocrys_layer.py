"""Each part of the fast layer gives the bits of the library's part, not only equal words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.crystal import Crystal
from ingest.structures.convert import to_pymatgen
from ingest.text.robocrystallographer import quiet

NAMES = ["rock salt", "half-Heusler", "molybdenite", "dry ice"]


@pytest.fixture(scope="module")
def order_parameters() -> list[tuple[int, str, Any]]:
    """(coordination number, name, library object) of each geometric order parameter."""
    from matminer.featurizers.site import CrystalNNFingerprint

    with quiet():
        plan = CrystalNNFingerprint.from_preset("ops", cation_anion=False)
    return [
        (number, parameter._types[0], parameter)
        for number, parameters in plan.ops.items()
        for parameter in parameters
        if parameter != "wt" and parameter._params[0] is not None
    ]


@pytest.mark.parametrize("name", NAMES)
def test_neighbours_are_crystal_nns(crystals: dict[str, Crystal], name: str) -> None:
    from pymatgen.core.local_env import CrystalNN

    from ingest.text.robocrys_layer.neighbours import neighbours

    structure = to_pymatgen(crystals[name])
    with quiet():
        for n in range(len(structure)):
            expected = CrystalNN().get_nn_data(structure, n)
            found = neighbours(structure, n)
            assert found.index == [entry["site_index"] for entry in expected.all_nninfo]
            assert found.image == [tuple(entry["image"]) for entry in expected.all_nninfo]
            assert found.weight == [entry["weight"] for entry in expected.all_nninfo]
            assert found.coordination == expected.cn_weights
            assert list(found.coordination) == list(expected.cn_weights)


@pytest.mark.parametrize("name", NAMES)
def test_fingerprints_are_matminers(crystals: dict[str, Crystal], name: str) -> None:
    from robocrys.condense.fingerprint import get_site_fingerprints, get_structure_fingerprint

    from ingest.text.robocrys_layer.analysis import CellAnalysis

    structure = to_pymatgen(crystals[name])
    with quiet():
        sites = get_site_fingerprints(structure, as_dict=False)
        whole = get_structure_fingerprint(structure)
        analysis = CellAnalysis(structure)
        assert np.array_equal(analysis.site_fingerprints, sites)
        assert np.array_equal(analysis.structure_fingerprint, whole)


ideal = st.sampled_from(
    [(1.0, 0, 0), (-1.0, 0, 0), (0, 1.0, 0), (0, -1.0, 0), (0, 0, 1.0), (0, 0, -1.0)]
    + [(x, y, z) for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)]
    + [(x, y, 0.0) for x in (-1.0, 1.0) for y in (-1.0, 1.0)]
)


@settings(max_examples=40, deadline=None)
@given(
    vectors=st.lists(ideal, min_size=12, max_size=12, unique=True),
    distortion=st.sampled_from([0.0, 1e-9, 0.05, 0.3]),
    seed=st.integers(0, 2**32 - 1),
)
def test_order_parameters_are_pymatgens(
    order_parameters: list[tuple[int, str, Any]],
    vectors: list[tuple[float, float, float]],
    distortion: float,
    seed: int,
) -> None:
    from pymatgen.core import Site

    from ingest.text.robocrys_layer.order_parameters import FORMULAS, Geometry

    noise = np.random.default_rng(seed).normal(scale=distortion, size=(12, 3))
    places = np.array(vectors) * 2.1 + noise
    centre = np.array([0.3, -0.2, 0.1])
    for number, name, parameter in order_parameters:
        sites = [Site("Na", centre), *(Site("Cl", centre + v) for v in places[:number])]
        bonds = np.array([site.coords for site in sites[1:]]) - centre
        expected = parameter.get_order_parameters(sites, 0, list(range(1, number + 1)))[0]
        assert FORMULAS[name](Geometry(bonds), parameter._params[0]) == expected, name


def test_connected_sites_are_the_librarys_in_the_same_order(crystals: dict[str, Crystal]) -> None:
    from pymatgen.core.graphs import StructureGraph

    from ingest.text.robocrys_layer.analysis import Analyses, SharedCrystalNN

    structure = to_pymatgen(crystals["tilted perovskite"])
    with quiet():
        graph = SharedCrystalNN(Analyses()).get_bonded_structure(structure)
    library = StructureGraph.from_dict(graph.as_dict())
    for n in range(len(structure)):
        for image in [(0, 0, 0), (1, -2, 0)]:
            expected = library.get_connected_sites(n, jimage=image)
            found = graph.get_connected_sites(n, jimage=image)
            assert [tuple(site)[1:] for site in found] == [tuple(site)[1:] for site in expected]
            for one, other in zip(found, expected, strict=True):
                assert one.site.specie == other.site.specie
                assert np.array_equal(one.site.frac_coords, other.site.frac_coords)


def test_analyses_are_kept_by_content_and_few(crystals: dict[str, Crystal]) -> None:
    from ingest.text.robocrys_layer.analysis import Analyses

    analyses = Analyses(size=2)
    structures = [to_pymatgen(crystals[name]) for name in NAMES[:3]]
    first = analyses.of(structures[0])
    assert analyses.of(structures[0].copy()) is first
    for structure in structures[1:]:
        analyses.of(structure)
    assert len(analyses._kept) == 2
    assert analyses.of(structures[0]) is not first
    moved = structures[0].copy()
    moved.translate_sites([0], [1e-15, 0, 0], to_unit_cell=False)
    assert analyses.of(moved) is not analyses.of(structures[0])
