"""ALIGNN graphs, ours against the alignn library's builder, edge by edge on the same structures."""

from __future__ import annotations

import resource
import time
from collections import Counter
from pathlib import Path

import click
import numpy as np
from tqdm import tqdm

from benchmarks.options import sample_options
from benchmarks.text_comparison import choose
from featurestore.crystal import Crystal
from featurestore.errors import FeatureStoreError
from ingest.encoders.alignn.batch import collate
from ingest.encoders.alignn.graph import CrystalGraph, GraphSettings, build_graph
from ingest.structures.convert import to_jarvis

FEATURES = 92


def edge_multiset(
    crystal: Crystal, source: np.ndarray, target: np.ndarray, displacement: np.ndarray
) -> Counter:
    """How often each (source, target, image) occurs; the image follows from the displacement."""
    offset = crystal.frac_coords[target] - crystal.frac_coords[source]
    image = np.round(displacement @ np.linalg.inv(crystal.lattice) - offset).astype(int).T
    return Counter(zip(source.tolist(), target.tolist(), *image.tolist(), strict=True))


def ours(crystal: Crystal, settings: GraphSettings) -> CrystalGraph:
    """Edges, and bond angles with their cosines."""
    graph = build_graph(crystal, settings)
    collate([graph], [np.zeros((graph.n_atoms, FEATURES), np.float32)], block_angles=512)
    return graph


def library_edges(crystal: Crystal, settings: GraphSettings) -> tuple[np.ndarray, ...]:
    """Source, target and displacement of every edge."""
    from alignn.graphs import build_undirected_edgedata, nearest_neighbor_edges

    atoms = to_jarvis(crystal)
    edges, _ = nearest_neighbor_edges(
        atoms=atoms,
        cutoff=settings.cutoff,
        max_neighbors=settings.max_neighbors,
        use_canonize=settings.use_canonize,
    )
    u, v, r, _ = build_undirected_edgedata(atoms, edges)
    return u.numpy(), v.numpy(), r.numpy()


def library_graph(crystal: Crystal, settings: GraphSettings) -> None:
    """Edges, atom features and, where DGL is here, the line graph with its cosines."""
    from alignn.graphs import Graph

    Graph.atom_dgl_multigraph(
        to_jarvis(crystal),
        cutoff=settings.cutoff,
        max_neighbors=settings.max_neighbors,
        use_canonize=settings.use_canonize,
    )


@click.command()
@sample_options
@click.option("--canonize/--no-canonize", default=True, show_default=True)
def main(archive: Path, n: int, seed: int, canonize: bool) -> None:
    """Compare edges and times; the exit code is 1 where an edge differs.

    Times are CPU times of one thread. The library's edges alone are timed too, because its line
    graph comes from DGL, which may not be here.
    """
    from ingest.encoders.alignn.dgl_backend import import_dgl

    settings = GraphSettings(use_canonize=canonize)
    chosen = choose(archive, n, seed)
    try:
        # Before alignn imports DGL without saying that it is for PyTorch.
        import_dgl()
        with_dgl = True
    except FeatureStoreError as error:
        click.echo(f"the library's line graph is not timed: {error}")
        with_dgl = False
    ours(chosen[0][1], settings)
    library_edges(chosen[0][1], settings)
    spent: Counter[str] = Counter()
    different = []
    copies = edges = 0
    for name, crystal in tqdm(chosen, disable=None):
        start = time.process_time()
        graph = build_graph(crystal, settings)
        spent["ours, edges"] += time.process_time() - start
        start = time.process_time()
        ours(crystal, settings)
        spent["ours, edges and angles"] += time.process_time() - start
        start = time.process_time()
        u, v, r = library_edges(crystal, settings)
        spent["library, edges"] += time.process_time() - start
        if with_dgl:
            start = time.process_time()
            library_graph(crystal, settings)
            spent["library, whole graph"] += time.process_time() - start
        copied = [np.repeat(a, graph.count, axis=0) for a in (graph.source, graph.target)]
        displacement = np.repeat(graph.displacement, graph.count, axis=0)
        if edge_multiset(crystal, *copied, displacement) != edge_multiset(crystal, u, v, r):
            different.append(name)
        copies += len(u)
        edges += len(graph.source)
    n = len(chosen)
    click.echo(f"{n} structures of {archive.name}, seed {seed}, canonised: {canonize}")
    click.echo(f"edges a structure: {copies / n:.1f}, distinct {edges / n:.1f}")
    for way, seconds in spent.items():
        click.echo(f"{way:24s} {1e3 * seconds / n:7.2f} ms a structure")
    click.echo(f"ratio, edges: {spent['library, edges'] / spent['ours, edges']:.1f}")
    if with_dgl:
        ratio = spent["library, whole graph"] / spent["ours, edges and angles"]
        click.echo(f"ratio, edges and angles: {ratio:.1f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    click.echo(f"peak memory of the process: {peak:.0f} MB")
    click.echo(f"structures with other edges than the library's: {len(different)} {different[:10]}")
    raise SystemExit(1 if different else 0)


if __name__ == "__main__":
    main()
