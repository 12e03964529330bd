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
        lattice_mat=crystal.lattice,
        coords=crystal.frac_coords,
        elements=list(crystal.species),
        cartesian=False,
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


def edge_multiset(source, target, displacement) -> Counter:
    """Edges with their multiplicity; displacements that differ in the last bits are equal.

    Edges between the same sites are at least a bond length apart, so a grid of 0.05 Å, shifted
    off the special positions, tells them apart and float noise does not.
    """
    cells = np.floor(displacement.astype(np.float64) / 0.05 + 0.287).astype(int)
    return Counter(
        (int(u), int(v), *map(int, cell))
        for u, v, cell in zip(source, target, cells, strict=True)
    )
