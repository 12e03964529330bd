"""Crystals as graphs ready to train on, and batches of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from featurestore.crystal import Crystal
from featurestore.errors import FeatureStoreError
from featurestore.failure import Failure
from featurestore.machine.cluster import chosen_cluster
from featurestore.machine.pool import default_workers, worker_pool
from ingest.encoders.alignn.atoms import element_features
from ingest.encoders.alignn.batch import GraphBatch, bounded_batches, collate
from ingest.encoders.alignn.graph import CrystalGraph, GraphSettings, build_graph

ATOM_FEATURES = "cgcnn"

# Bond angles evaluated together: some 3 GB at the published width with all kept for gradients.
_ANGLES_A_PART = 32_768
_SECONDS_A_GRAPH = 300.0


@dataclass(frozen=True, eq=False)
class GraphExample:
    """One crystal's graph with its atoms' features, float32 of shape (n_atoms, n_features)."""

    graph: CrystalGraph
    atoms: npt.NDArray[np.float32]


def graph_example(crystal: Crystal, settings: GraphSettings) -> GraphExample | Failure:
    """The graph of a crystal, or why there is none."""
    try:
        atoms = np.stack([element_features(s, ATOM_FEATURES) for s in crystal.species])
        return GraphExample(build_graph(crystal, settings), atoms)
    except FeatureStoreError as error:
        return Failure.of(error)


def graph_examples(
    crystals: Iterable[tuple[str, Crystal]], settings: GraphSettings
) -> Iterator[tuple[str, GraphExample | Failure]]:
    """`graph_example` of each crystal, by its name; on a cluster that was chosen in any order.

    On one machine they are made here: a graph takes milliseconds, a hundredth of what an epoch
    spends on it.
    """
    work = partial(graph_example, settings=settings)
    if chosen_cluster() is None:
        yield from ((name, work(crystal)) for name, crystal in crystals)
        return
    with worker_pool(default_workers()) as pool:
        yield from pool.run(work, crystals, _SECONDS_A_GRAPH)


def collated(examples: Sequence[GraphExample], device: str) -> GraphBatch:
    """One batch of all the examples."""
    return collate(
        [example.graph for example in examples],
        [example.atoms for example in examples],
        block_angles=_ANGLES_A_PART,
        device=device,
    )


def parts(rows: Sequence[int], examples: Sequence[GraphExample]) -> Iterator[list[int]]:
    """The rows in parts of bounded size, in their order; a large graph is a part of its own."""
    n_angles = ((row, examples[row].graph.n_triplets) for row in rows)
    return bounded_batches(n_angles, _ANGLES_A_PART)


def shuffled(n: int, seed: int, epoch: int) -> list[int]:
    """The rows in the order of one epoch; it depends on nothing but the arguments."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order: list[int] = torch.randperm(n, generator=generator).tolist()
    return order
