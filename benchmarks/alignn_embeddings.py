"""ALIGNN embeddings, graph included: ours against the reference extraction on the same structures.

The reference is the paper's way: jarvis-tools atoms, the alignn library's graph, its DGL model, one
structure after the other. Every way runs in a process of its own, with the same number of threads.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from benchmarks.options import sample_options
from benchmarks.text_comparison import choose
from featurestore.crystal import Crystal

REFERENCE = "reference"
ROUNDS = 2


@dataclass(frozen=True)
class Measured:
    """The vectors of one way, and what they took."""

    vectors: np.ndarray
    wall_seconds: float
    cpu_seconds: float
    graph_seconds: float
    peak_megabytes: float


def write_random_property_model(folder: Path) -> None:
    """A model of the published property models' kind and size, with random weights."""
    import json

    import torch

    from ingest.encoders.alignn.model import AlignnModel, Architecture

    sizes = {
        "alignn_layers": 4,
        "gcn_layers": 4,
        "atom_input_features": 92,
        "edge_input_features": 80,
        "triplet_input_features": 40,
        "embedding_features": 64,
        "hidden_features": 256,
    }
    torch.manual_seed(0)
    state = AlignnModel(Architecture(norm="batchnorm", **sizes)).state_dict()
    head = torch.nn.Linear(256, 1)
    state |= {"fc.weight": head.weight.detach(), "fc.bias": head.bias.detach()}
    torch.save({"model": state}, folder / "best_model.pt")
    config = {"cutoff": 8.0, "max_neighbors": 12, "use_canonize": True}
    config["model"] = {"name": "alignn", **sizes, "output_features": 1}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def run_reference(folder: Path, crystals: Sequence[Crystal], threads: int) -> Measured:
    """Library graph and DGL model, one structure at a time."""
    import torch

    from ingest.encoders.alignn.checkpoint import read_checkpoint
    from ingest.encoders.alignn.dgl_backend import DglBackend
    from ingest.structures.convert import to_jarvis

    torch.set_num_threads(threads)
    checkpoint = read_checkpoint(folder)
    backend = DglBackend(checkpoint, checkpoint.architecture.layers[-1])
    from alignn.graphs import Graph

    def graphs(crystal: Crystal) -> tuple:
        return Graph.atom_dgl_multigraph(
            to_jarvis(crystal),
            cutoff=checkpoint.graph.cutoff,
            max_neighbors=checkpoint.graph.max_neighbors,
            use_canonize=checkpoint.graph.use_canonize,
        )

    for crystal in crystals[:5]:
        backend.pooled_library_graphs(*graphs(crystal))
    vectors, graph_seconds = [], 0.0
    wall, cpu = time.perf_counter(), time.process_time()
    for crystal in crystals:
        start = time.perf_counter()
        g, line = graphs(crystal)
        graph_seconds += time.perf_counter() - start
        vectors.append(backend.pooled_library_graphs(g, line))
    return Measured(
        np.stack(vectors),
        time.perf_counter() - wall,
        time.process_time() - cpu,
        graph_seconds,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


def run_ours(
    folder: Path, crystals: Sequence[Crystal], threads: int, precision: str, device: str
) -> Measured:
    """The encoder, all structures in one call; the better of two rounds."""
    import torch

    from ingest.encoders.alignn.checkpoint import read_checkpoint
    from ingest.encoders.alignn.encoder import load_alignn_encoder
    from ingest.encoders.alignn.graph import build_graph

    torch.set_num_threads(threads)
    encoder = load_alignn_encoder(folder, name="bench", precision=precision, device=device)
    encoder.encode(crystals[:20])
    wall = cpu = np.inf
    for _ in range(ROUNDS):
        start, cpu_start = time.perf_counter(), time.process_time()
        results = encoder.encode(crystals)
        wall = min(wall, time.perf_counter() - start)
        cpu = min(cpu, time.process_time() - cpu_start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    settings = read_checkpoint(folder).graph
    start = time.perf_counter()
    for crystal in crystals:
        build_graph(crystal, settings)
    graph_seconds = time.perf_counter() - start
    return Measured(np.stack([r.vector for r in results]), wall, cpu, graph_seconds, peak)


def product_rate(threads: int, rows: int = 512, width: int = 256) -> float:
    """GFLOP/s of bare float32 products of the model's shape, one on each thread at a time."""
    from concurrent.futures import ThreadPoolExecutor

    import torch

    def multiply(_: int) -> None:
        torch.set_num_threads(1)
        a, b, out = torch.rand(rows, width), torch.rand(width, width), torch.rand(rows, width)
        for _ in range(1000):
            out.addmm_(a, b, beta=0)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(multiply, range(threads)))
        start = time.perf_counter()
        list(pool.map(multiply, range(threads)))
        seconds = time.perf_counter() - start
    return threads * 1000 * 2 * rows * width * width / seconds / 1e9


def reference_flops(folder: Path, crystals: Sequence[Crystal]) -> tuple[float, float]:
    """Floating-point operations of the model's matrix products on the library's graph, and on ours.

    The library's graph holds equal edges several times; ours holds them once.
    """
    from ingest.encoders.alignn.checkpoint import read_checkpoint
    from ingest.encoders.alignn.graph import build_graph

    checkpoint = read_checkpoint(folder)
    a = checkpoint.architecture
    h, e = a.hidden_features, a.embedding_features
    angle = 2 * (a.triplet_input_features * e + e * h) + 2 * h * h * a.alignn_layers
    bond = 2 * (a.edge_input_features * e + e * h) + 2 * h * h * (
        5 * a.alignn_layers + a.gcn_layers
    )
    atom = 2 * a.atom_input_features * h + 2 * h * h * 4 * (a.alignn_layers + a.gcn_layers)
    library = ours = 0.0
    for crystal in crystals:
        graph = build_graph(crystal, checkpoint.graph)
        copies = np.bincount(graph.target, weights=graph.count, minlength=graph.n_atoms)
        self_pairs = graph.count[graph.source == graph.target].sum()
        n_angles = (copies**2).sum() - self_pairs
        library += angle * n_angles + bond * copies.sum() + atom * graph.n_atoms
        ours += angle * graph.n_triplets + bond * len(graph.source) + atom * graph.n_atoms
    return library, ours


@click.command()
@sample_options
@click.option(
    "--weights",
    default=None,
    help="Name or folder of weights, such as alignn-ff; by default a property model of published "
    "size with random weights.",
)
@click.option("--threads", default=os.cpu_count(), show_default="all cores")
@click.option("--device", default="cpu", show_default=True, help="Where ours runs.")
def main(archive: Path, n: int, seed: int, weights: str | None, threads: int, device: str) -> None:
    """Compare vectors, rates and memory; the exit code is 1 where float32 differs by over 2e-5."""
    import tempfile

    from ingest.weights.cache import weights_folder

    crystals = [crystal for _, crystal in choose(archive, n, seed)]
    n = len(crystals)
    with tempfile.TemporaryDirectory() as made:
        if weights is None:
            write_random_property_model(Path(made))
        folder = Path(made) if weights is None else weights_folder(weights)

        def in_own_process(function, *arguments):  # type: ignore[no-untyped-def]
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(1, mp_context=context) as pool:
                return pool.submit(function, *arguments).result()

        ways = {REFERENCE: in_own_process(run_reference, folder, crystals, threads)}
        for precision in ("float32", "bfloat16"):
            ways[precision] = in_own_process(run_ours, folder, crystals, threads, precision, device)
        library_flops, our_flops = reference_flops(folder, crystals)
        rate = in_own_process(product_rate, threads)

    reference = ways[REFERENCE]
    click.echo(
        f"{n} structures of {archive.name}, seed {seed}, weights {weights or 'random'}, "
        f"{threads} threads, ours on {device}"
    )
    click.echo("way        ms/structure  of it graphs   CPU ms  ratio  CPU ratio  peak MB")
    for name, way in ways.items():
        click.echo(
            f"{name:10s} {1e3 * way.wall_seconds / n:12.2f} {1e3 * way.graph_seconds / n:13.2f} "
            f"{1e3 * way.cpu_seconds / n:8.2f} {reference.wall_seconds / way.wall_seconds:6.2f} "
            f"{reference.cpu_seconds / way.cpu_seconds:10.2f} {way.peak_megabytes:8.0f}"
        )
    click.echo(
        f"matrix products: {library_flops / n / 1e9:.2f} GFLOP a structure on the library's graph, "
        f"{our_flops / n / 1e9:.2f} on ours; bare products reach {rate:.0f} GFLOP/s in float32"
    )
    for what, flops in (("the library's", library_flops), ("our", our_flops)):
        floor = flops / rate / 1e9
        click.echo(
            f"floor of {what} arithmetic: {1e3 * floor / n:.2f} ms a structure; float32 reaches "
            f"{100 * floor / ways['float32'].wall_seconds:.0f} % of it, the reference "
            f"{100 * floor / reference.wall_seconds:.0f} %"
        )
    worst = 0.0
    for name in ("float32", "bfloat16"):
        for segment, a, b in zip(
            ("atom", "bond", "angle"),
            np.split(reference.vectors, 3, axis=1),
            np.split(ways[name].vectors, 3, axis=1),
            strict=True,
        ):
            error = np.linalg.norm(a - b, axis=1) / np.linalg.norm(a, axis=1)
            cosine = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
            largest = float(np.abs(a - b).max())
            worst = max(worst, largest) if name == "float32" else worst
            click.echo(
                f"{name} {segment:5s} largest difference {largest:.1e} of {np.abs(a).max():.2f}, "
                f"relative error median {np.median(error):.1e} largest {error.max():.1e}, "
                f"cosine at least {cosine.min():.7f}"
            )
    raise SystemExit(0 if worst <= 2e-5 else 1)


if __name__ == "__main__":
    main()
