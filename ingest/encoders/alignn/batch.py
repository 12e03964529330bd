"""Many crystal graphs as one set of dense blocks: no gather or scatter over bond angles.

The edges into an atom and the edges out of it are each other's reverses, k of either, so the bond
angles at the atom fill a k × k block: row o for the edge out, column i for the edge in. Atoms of
equal k are put side by side, and what a graph library does by index becomes a broadcast.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ingest.encoders.alignn.graph import CrystalGraph


@dataclass(frozen=True, eq=False)
class AtomBlock:
    """Consecutive atoms with k edges in and k edges out each.

    Parameters
    ----------
    atoms : slice
    edges : slice
        The edges into these atoms, by atom.
    degree : int
        k.
    """

    atoms: slice
    edges: slice
    degree: int


@dataclass(frozen=True, eq=False)
class AngleBlock:
    """The bond angles at consecutive atoms of equal degree k.

    Parameters
    ----------
    n_atoms : int
    edges : slice
        The edges into these atoms, by atom.
    degree : int
        k.
    cosine : Tensor, shape (n_atoms * k * k,), float32
        By atom, edge out and edge in.
    weight, count : Tensor, shape (n_atoms * k * k, 1), float32
        Copies of the angle for one copy of its edge out, and for all.
    single : bool
        Whether every angle is there once.
    """

    n_atoms: int
    edges: slice
    degree: int
    cosine: torch.Tensor
    weight: torch.Tensor
    count: torch.Tensor
    single: bool


@dataclass(frozen=True, eq=False)
class GraphBatch:
    """Graphs of several crystals, atoms sorted by degree and edges by target.

    Parameters
    ----------
    atom_features : Tensor, shape (n_atoms, n_features), float32
    bond_length : Tensor, shape (n_edges,), float32
        Å.
    source, target, reverse : Tensor, shape (n_edges,), int64
        Atoms at both ends, and index of the same edge in the other direction.
    count : Tensor, shape (n_edges, 1), float32
        Copies of each edge.
    single : bool
        Whether every edge is there once.
    atom_blocks : tuple of AtomBlock
        One or more for each degree, small enough for a cache.
    angle_blocks : tuple of AngleBlock
        The same, with fewer atoms each.
    pool_atoms, pool_edges, pool_angles : Tensor, shape (n_graphs, n_atoms), float64
        Weights that turn sums over each atom's own atom, edges or angles into means over graphs.
    """

    atom_features: torch.Tensor
    bond_length: torch.Tensor
    source: torch.Tensor
    target: torch.Tensor
    reverse: torch.Tensor
    count: torch.Tensor
    single: bool
    atom_blocks: tuple[AtomBlock, ...]
    angle_blocks: tuple[AngleBlock, ...]
    pool_atoms: torch.Tensor
    pool_edges: torch.Tensor
    pool_angles: torch.Tensor


def bounded_batches(n_angles: Iterable[tuple[int, int]], most: int) -> Iterator[list[int]]:
    """Graphs in batches of so many bond angles, in their order; a larger one is by itself.

    Parameters
    ----------
    n_angles : iterable of (int, int)
        A number for each graph, which stands for it in the batches, and its bond angles.
    most : int
        Bond angles of a batch.
    """
    batch: list[int] = []
    total = 0
    for number, n in n_angles:
        if batch and total + n > most:
            yield batch
            batch, total = [], 0
        batch.append(number)
        total += n
    if batch:
        yield batch


def collate(
    graphs: Sequence[CrystalGraph],
    features: Sequence[npt.NDArray[np.float32]],
    *,
    block_angles: int,
    device: str = "cpu",
) -> GraphBatch:
    """Put graphs and their atoms' features together.

    The features are one array for each graph, float32 of shape (n_atoms, n_features).

    A block holds ``block_angles`` edges or bond angles, or those of one atom if they are more.
    """
    n_atoms = np.array([graph.n_atoms for graph in graphs])
    n_edges = np.array([len(graph.source) for graph in graphs])
    atom_offset = np.repeat(np.cumsum(n_atoms) - n_atoms, n_edges)
    edge_offset = np.repeat(np.cumsum(n_edges) - n_edges, n_edges)
    source = np.concatenate([graph.source for graph in graphs]) + atom_offset
    target = np.concatenate([graph.target for graph in graphs]) + atom_offset
    reverse = np.concatenate([graph.reverse for graph in graphs]) + edge_offset
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
    edges_per_atom = np.empty(len(degree))
    angles_per_atom = np.empty(len(degree))

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(device)

    def angle_block(atoms: slice, edges: slice, k: int) -> AngleBlock:
        n = atoms.stop - atoms.start
        into = np.arange(edges.start, edges.stop).reshape(n, k)
        out = reverse[into]
        # The first bond is turned round, so that both point away from the atom they share.
        dot = -np.matmul(displacement[out], displacement[into].transpose(0, 2, 1))
        cosine = np.clip(dot / (length[out][:, :, None] * length[into][:, None, :]), -1, 1)
        # DGL's line graph joins an edge with its copies but never with itself.
        weight = count[into][:, None, :] - (out[:, :, None] == into[:, None, :])
        copies = weight * count[out][:, :, None]
        angles_per_atom[atoms] = copies.sum(axis=(1, 2))
        return AngleBlock(
            n_atoms=n,
            edges=edges,
            degree=k,
            cosine=tensor(cosine.reshape(-1)),
            weight=tensor(weight.reshape(-1, 1).astype(np.float32)),
            count=tensor(copies.reshape(-1, 1).astype(np.float32)),
            single=bool((weight == 1).all() and (copies == 1).all()),
        )

    first_edge_of = np.concatenate([[0], np.cumsum(degree)])

    def blocks(start: int, stop: int, k: int, rows_an_atom: int) -> Iterator[AtomBlock]:
        step = max(1, block_angles // rows_an_atom)
        for first in range(start, stop, step):
            last = min(first + step, stop)
            edges = slice(int(first_edge_of[first]), int(first_edge_of[last]))
            yield AtomBlock(slice(first, last), edges, k)

    atom_blocks: list[AtomBlock] = []
    angle_blocks: list[AngleBlock] = []
    for number, first in zip(*np.unique(degree, return_index=True), strict=True):
        k, start, stop = int(number), int(first), int(np.searchsorted(degree, number, side="right"))
        edges = slice(int(first_edge_of[start]), int(first_edge_of[stop]))
        edges_per_atom[start:stop] = count[edges].reshape(-1, k).sum(axis=1)
        atom_blocks += blocks(start, stop, k, k)
        angle_blocks += [angle_block(b.atoms, b.edges, k) for b in blocks(start, stop, k, k * k)]

    def pool(per_atom: np.ndarray) -> torch.Tensor:
        total = np.bincount(graph_of_atom, weights=per_atom, minlength=len(graphs))
        matrix = np.zeros((len(graphs), len(degree)))
        matrix[graph_of_atom, np.arange(len(degree))] = 1 / total[graph_of_atom]
        return tensor(matrix)

    return GraphBatch(
        atom_features=tensor(np.concatenate(features)[atom_order]),
        bond_length=tensor(length),
        source=tensor(source),
        target=tensor(np.repeat(np.arange(len(degree)), degree)),
        reverse=tensor(reverse),
        count=tensor(count[:, None]),
        single=bool((count == 1).all()),
        atom_blocks=tuple(atom_blocks),
        angle_blocks=tuple(angle_blocks),
        pool_atoms=pool(np.ones(len(degree))),
        pool_edges=pool(edges_per_atom),
        pool_angles=pool(angles_per_atom),
    )
