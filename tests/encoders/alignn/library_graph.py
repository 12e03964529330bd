"""The alignn library's own graph of a crystal, as plain arrays; needs no DGL."""

from __future__ import annotations

from collections import Counter

import numpy as np

from featurestore.crystal import Crystal
from ingest.encoders.alignn.graph import CrystalGraph, GraphSettings


def library_edges(crystal: Crystal, settings: GraphSettings):
    """Source, target and displacement (float32, Å) of every edge of the library's multigraph."""
    from alignn.graphs import build_undirected_edgedata, nearest_neighbor_edges
    from jarvis.core.atoms import Atoms

    atoms = Atoms(
        lattice_mat=crystal.lattice, coords=crystal.frac_coords, elements=list(crystal.species)
    )
    edges, _ = nearest_neighbor_edges(
        atoms=atoms,
        cutoff=settings.cutoff,
        max_neighbors=settings.max_neighbors,
        use_canonize=settings.use_canonize,
    )
    u, v, r, _ = build_undirected_edgedata(atoms, edges)
    return u.numpy(), v.numpy(), r.numpy()


def expanded_edges(graph: CrystalGraph):
    """The same of our graph, every copy written out."""
    copies = graph.count
    return (
        np.repeat(graph.source, copies),
        np.repeat(graph.target, copies),
        np.repeat(graph.displacement, copies, axis=0).astype(np.float32),
    )


def edge_multiset(crystal: Crystal, edges) -> Counter:
    """How often each (source, target, image) occurs, the image got back from the displacement."""
    source, target, displacement = edges
    shift = displacement @ np.linalg.inv(crystal.lattice)
    image = shift - (crystal.frac_coords[target] - crystal.frac_coords[source])
    assert np.abs(image - np.round(image)).max() < 1e-3
    columns = np.round(image).astype(int).T
    return Counter(zip(source.tolist(), target.tolist(), *columns.tolist(), strict=True))


def line_graph_edges(source, target, *, keep_self_pairs: bool):
    """Pairs (edge into a site, edge out of it); DGL leaves out the pair of an edge with itself."""
    pairs = np.argwhere(target[:, None] == source[None, :])
    return pairs if keep_self_pairs else pairs[pairs[:, 0] != pairs[:, 1]]
