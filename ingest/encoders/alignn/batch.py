"""Many crystal graphs as one set of dense blocks: no gather or scatter over bond angles.

The edges into an atom and the edges out of it are each other's reverses, k of either, so the bond
angles at the atom fill a k × k block: row o for the edge out, column i for the edge in. Atoms of
equal k are put side by side, and what a graph library does by index becomes a broadcast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ingest.encoders.alignn.graph import CrystalGraph


@dataclass(frozen=True, eq=False)
class Block:
    """Consecutive atoms with k edges in and k edges out each, and the bond angles at them.

    Parameters
    ----------
    first_atom, n_atoms, first_edge, degree : int
        The block's edges in are ``first_edge`` to ``first_edge + n_atoms * degree``, by atom.
    cosine : Tensor, shape (n_atoms * degree * degree,), float32
        Cosine of the bond angle, by atom, edge out and edge in.
    """

    first_atom: int
    n_atoms: int
    first_edge: int
    degree: int
    cosine: torch.Tensor
    edge_count: torch.Tensor
    angle_weight: torch.Tensor
    angle_count: torch.Tensor

    @property
    def atoms(self) -> slice:
        """The block's atoms."""
        return slice(self.first_atom, self.first_atom + self.n_atoms)

    @property
    def edges(self) -> slice:
        """The edges into the block's atoms."""
        return slice(self.first_edge, self.first_edge + self.n_atoms * self.degree)


@dataclass(frozen=True, eq=False)
class GraphBatch:
    """Graphs of several crystals, atoms sorted by degree and edges by target.

    Parameters
    ----------
    atom_features : Tensor, shape (n_atoms, n_features), float32
    bond_length : Tensor, shape (n_edges,), float32
        Å.
    source, reverse : Tensor, shape (n_edges,), int64
        Source atom, and index of the same edge in the other direction.
    blocks : tuple of Block
    pool_atoms, pool_edges, pool_angles : Tensor, shape (n_graphs, n_atoms), float32
        Weights that turn sums over each atom's own atom, edges or angles into means over graphs.
    """

    atom_features: torch.Tensor
    bond_length: torch.Tensor
    source: torch.Tensor
    reverse: torch.Tensor
    blocks: tuple[Block, ...]
    pool_atoms: torch.Tensor
    pool_edges: torch.Tensor
    pool_angles: torch.Tensor


def collate(
    graphs: Sequence[CrystalGraph],
    features: Sequence[np.ndarray],
    *,
    block_angles: int,
    device: str = "cpu",
) -> GraphBatch:
    """Put graphs and their atoms' features (one array of shape (n_atoms, n_features) each) together.

    A block holds ``block_angles`` bond angles or those of one atom, if they are more.
    """
    n_atoms = np.array([graph.n_atoms for graph in graphs])
    n_edges = np.array([len(graph.source) for graph in graphs])
    first_atom = np.repeat(np.cumsum(n_atoms) - n_atoms, n_edges)
    first_edge = np.repeat(np.cumsum(n_edges) - n_edges, n_edges)
    source = np.concatenate([graph.source for graph in graphs]) + first_atom
    target = np.concatenate([graph.target for graph in graphs]) + first_atom
    reverse = np.concatenate([graph.reverse for graph in graphs]) + first_edge
    displacement = np.concatenate([graph.displacement for graph in graphs]).astype(np.float32)
    count = np.concatenate([graph.count for graph in graphs]).astype(np.float32)
    graph_of_atom = np.repeat(np.arange(len(graphs)), n_atoms)

    degree = np.bincount(target, minlength=int(n_atoms.sum()))
    atom_order = np.argsort(degree, kind="stable")
    new_atom = np.empty_like(atom_order)
    new_atom[atom_order] = np.arange(len(atom_order))
    edge_order = np.argsort(new_atom[target], kind="stable")
    new_edge = np.empty_like(edge_order)
    new_edge[edge_order] = np.arange(len(edge_order))
    source, reverse = new_atom[source][edge_order], new_edge[reverse[edge_order]]
    displacement, count = displacement[edge_order], count[edge_order]
    degree, graph_of_atom = degree[atom_order], graph_of_atom[atom_order]

    length = np.sqrt((displacement**2).sum(axis=1))
    blocks = []
    edges_per_atom = np.empty(len(degree), dtype=np.float64)
    angles_per_atom = np.empty(len(degree), dtype=np.float64)
    atom = edge = 0
    while atom < len(degree):
        k = int(degree[atom])
        same = int(np.searchsorted(degree, k, side="right")) - atom
        n = min(same, max(1, block_angles // (k * k)))
        into = np.arange(edge, edge + n * k).reshape(n, k)
        out = reverse[into]
        # The first bond is turned round, so that both point away from the atom they share.
        dot = -np.einsum("aoc,aic->aoi", displacement[out], displacement[into])
        norm = length[out][:, :, None] * length[into][:, None, :]
        cosine = np.clip(dot / norm, -1, 1)
        # DGL's line graph joins an edge with its copies but never with itself.
        weight = count[into][:, None, :] - (out[:, :, None] == into[:, None, :])
        angle_count = weight * count[out][:, :, None]
        edges_per_atom[atom : atom + n] = count[into].sum(axis=1)
        angles_per_atom[atom : atom + n] = angle_count.sum(axis=(1, 2))
        blocks.append(
            Block(
                first_atom=atom,
                n_atoms=n,
                first_edge=edge,
                degree=k,
                cosine=torch.from_numpy(cosine.reshape(-1)).to(device),
                edge_count=torch.from_numpy(count[into][:, None, :]).to(device),
                angle_weight=torch.from_numpy(weight.reshape(n * k, 1, k)).to(device),
                angle_count=torch.from_numpy(angle_count.reshape(n, 1, k * k)).to(device),
            )
        )
        atom += n
        edge += n * k

    def pool(per_atom: np.ndarray) -> torch.Tensor:
        total = np.bincount(graph_of_atom, weights=per_atom, minlength=len(graphs))
        matrix = np.zeros((len(graphs), len(degree)), dtype=np.float32)
        matrix[graph_of_atom, np.arange(len(degree))] = 1 / total[graph_of_atom]
        return torch.from_numpy(matrix).to(device)

    return GraphBatch(
        atom_features=torch.from_numpy(np.concatenate(features)[atom_order]).to(device),
        bond_length=torch.from_numpy(length).to(device),
        source=torch.from_numpy(source).to(device),
        reverse=torch.from_numpy(reverse).to(device),
        blocks=tuple(blocks),
        pool_atoms=pool(np.ones(len(degree))),
        pool_edges=pool(edges_per_atom),
        pool_angles=pool(angles_per_atom),
    )
