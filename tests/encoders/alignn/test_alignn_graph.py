"""Our graphs hold the library's edges on every crystal, and refuse what has none."""

from __future__ import annotations

import numpy as np
import pytest
from alignn_crystals import CRYSTALS, POLONIUM, SILICON, crystal, cubic, shaken_rock_salt
from hypothesis import given, settings
from hypothesis import strategies as st
from library_graph import edge_multiset, expanded_edges, library_edges, line_graph_edges

from featurestore.errors import InvalidInputError
from ingest.encoders.alignn.batch import collate
from ingest.encoders.alignn.graph import GraphSettings, _times_lattice, build_graph

CANONIZED = GraphSettings(use_canonize=True)
NOT_CANONIZED = GraphSettings(use_canonize=False)


def assert_same_edges(crystal_, graph_settings):
    ours = expanded_edges(build_graph(crystal_, graph_settings))
    library = library_edges(crystal_, graph_settings)
    assert edge_multiset(crystal_, ours) == edge_multiset(crystal_, library)
    assert np.allclose(
        np.sort(np.linalg.norm(ours[2], axis=1)),
        np.sort(np.linalg.norm(library[2], axis=1)),
        atol=2e-6,
    )


@pytest.mark.parametrize("graph_settings", [CANONIZED, NOT_CANONIZED])
@pytest.mark.parametrize("name", CRYSTALS)
def test_edges_are_the_librarys(name, graph_settings):
    assert_same_edges(CRYSTALS[name], graph_settings)


@pytest.mark.shared
@pytest.mark.parametrize("graph_settings", [CANONIZED, NOT_CANONIZED])
def test_edges_are_the_librarys_on_real_structures(real_crystals, graph_settings):
    for real in real_crystals:
        assert_same_edges(real, graph_settings)


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.tuples(*[st.sampled_from([2.7, 3.0, 4.05, 4.05001, 6.123456, 9.5])] * 3),
    tilt=st.tuples(*[st.sampled_from([0.0, 0.5, -0.5, 1 / 3, 0.1234567])] * 3),
    sites=st.lists(
        st.tuples(*[st.sampled_from([0.0, 0.25, 1 / 3, 0.5, 2 / 3, 0.77, -0.4, 1.25])] * 3),
        min_size=1,
        max_size=5,
        unique=True,
    ),
    canonize=st.booleans(),
)
def test_edges_are_the_librarys_where_distances_tie(lengths, tilt, sites, canonize):
    """Trap: at the k-th neighbour equal distances are told apart by their last bits."""
    a, b, c = lengths
    lattice = [[a, 0, 0], [tilt[0] * a, b, 0], [tilt[1] * a, tilt[2] * b, c]]
    assert_same_edges(
        crystal(lattice, ["Si"] * len(sites), sites), GraphSettings(use_canonize=canonize)
    )


def test_many_vectors_are_multiplied_as_the_library_multiplies_each():
    """Trap: a product of two matrices may differ from it in the last bit, which decides ties."""
    rng = np.random.default_rng(0)
    for _ in range(100):
        lattice = rng.normal(scale=5, size=(3, 3))
        vectors = rng.integers(-5, 6, size=(200, 3)) + rng.random((200, 3))
        each = np.array([np.dot(vector, lattice) for vector in vectors])
        assert np.array_equal(_times_lattice(vectors, lattice), each)


def test_every_edge_has_a_reverse():
    for one in CRYSTALS.values():
        graph = build_graph(one, NOT_CANONIZED)
        back = graph.reverse
        assert np.array_equal(graph.source[back], graph.target)
        assert np.array_equal(back[back], np.arange(len(back)))
        assert np.allclose(graph.displacement[back], -graph.displacement, atol=1e-12)
        assert np.array_equal(graph.count[back], graph.count)


@pytest.mark.parametrize("graph_settings", [CANONIZED, NOT_CANONIZED])
@pytest.mark.parametrize("name", ["silicon", "simple cubic polonium", "no symmetry"])
def test_angles_are_those_of_dgls_line_graph(name, graph_settings):
    """Trap: DGL's line graph leaves out the pair of a self-image edge with itself."""
    one = CRYSTALS[name]
    graph = build_graph(one, graph_settings)
    source, target, displacement = expanded_edges(graph)
    pairs = line_graph_edges(source, target, keep_self_pairs=False)
    into, out = displacement[pairs[:, 0]].astype(float), displacement[pairs[:, 1]].astype(float)
    cosine = -(into * out).sum(1) / np.linalg.norm(into, axis=1) / np.linalg.norm(out, axis=1)

    features = np.zeros((one.n_atoms, 92), dtype=np.float32)
    batch = collate([graph], [features], block_angles=512)
    counts = np.concatenate([block.count.numpy()[:, 0] for block in batch.angle_blocks])
    cosines = np.concatenate([block.cosine.numpy() for block in batch.angle_blocks])
    assert counts.sum() == len(pairs)
    for power in range(1, 5):
        assert (counts * cosines**power).sum() == pytest.approx((cosine**power).sum(), abs=1e-3)


def test_self_pairs_would_change_the_number_of_angles():
    """The counts of the published reference for silicon: 64 edges and 2000 angles, not 2048."""
    graph = build_graph(SILICON, NOT_CANONIZED)
    source, target, _ = expanded_edges(graph)
    assert len(source) == 64
    assert len(line_graph_edges(source, target, keep_self_pairs=False)) == 2000
    assert len(line_graph_edges(source, target, keep_self_pairs=True)) == 2048


def test_blocks_of_any_size_hold_the_same_angles():
    graphs = [build_graph(one, CANONIZED) for one in CRYSTALS.values()]
    features = [np.zeros((graph.n_atoms, 92), dtype=np.float32) for graph in graphs]
    expected = sum(graph.n_triplets for graph in graphs)
    for size in (1, 300, 512, 10**6):
        batch = collate(graphs, features, block_angles=size)
        assert sum(len(block.cosine) for block in batch.angle_blocks) == expected
        for pool in (batch.pool_atoms, batch.pool_edges, batch.pool_angles):
            assert (pool > 0).sum(dim=1).tolist() == [graph.n_atoms for graph in graphs]


def test_the_default_settings_are_the_papers():
    """Trap: ``alignn.graphs`` has a default cut-off of 5 Å; the paper and its models use 8 Å."""
    assert GraphSettings() == GraphSettings(cutoff=8.0, max_neighbors=12, use_canonize=True)


def test_a_cutoff_without_enough_neighbours_widens_the_images_looked_at():
    """Whether the cut-off is 5 or 8 Å shows where coordinates leave the cell."""
    one = CRYSTALS["coordinates outside the cell"]
    for cutoff in (3.0, 5.0, 8.0):
        assert_same_edges(one, GraphSettings(cutoff=cutoff))


def test_large_cells_are_searched_in_pieces(monkeypatch):
    large = shaken_rock_salt(3, seed=1)
    whole = build_graph(large, CANONIZED)
    monkeypatch.setattr("ingest.encoders.alignn.graph._MAX_DISTANCES", 5000)
    pieces = build_graph(large, CANONIZED)
    assert np.array_equal(whole.source, pieces.source)
    assert np.array_equal(whole.displacement, pieces.displacement)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (crystal(np.eye(3), [], []), "no atoms"),
        (cubic(0.0, ["Fe"], [0, 0, 0]), "no volume"),
        (cubic(np.nan, ["Fe"], [0, 0, 0]), "not finite"),
        (cubic(3.0, ["Fe"], [0, np.inf, 0]), "not finite"),
    ],
)
def test_a_structure_without_a_graph_is_refused(bad, message):
    with pytest.raises(InvalidInputError, match=message):
        build_graph(bad, CANONIZED)


def test_polonium_sees_only_its_own_images():
    graph = build_graph(POLONIUM, CANONIZED)
    assert set(graph.source) == set(graph.target) == {0}
    assert set(graph.count) == {2}
