"""Rates of the stages with one process and with all, and the time they mean for a large archive."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path

import click

from benchmarks import chemnlp, robocrystallographer
from benchmarks.options import sample_options
from benchmarks.text_comparison import Measured, choose, joined, measure
from featurestore.crystal import Crystal
from featurestore.machine.processors import processors
from ingest.encoders.load import load_encoder
from ingest.stages.embeddings import _ITEMS_A_CALL
from ingest.structures.analysis import analyse

_GENERATORS = {"robocrystallographer": robocrystallographer.ours, "chemnlp": chemnlp.ours}


def encoding_seconds(name: str, precision: str, items: Sequence[Crystal] | Sequence[str]) -> float:
    """Seconds an item that an encoder takes with all cores, in calls as the stage makes them."""
    encoder = load_encoder(name, precision=precision)  # type: ignore[arg-type]
    encoder.encode(items[:8])  # type: ignore[arg-type]
    start = time.perf_counter()
    for first in range(0, len(items), _ITEMS_A_CALL):
        encoder.encode(items[first : first + _ITEMS_A_CALL])  # type: ignore[arg-type]
    return (time.perf_counter() - start) / len(items)


def text_rates(source: str, crystals: Sequence[Crystal]) -> tuple[Measured, Measured]:
    """The generator with one process and with one for each core; prints both and the scaling."""
    one, all_ = (measure(_GENERATORS[source], crystals, workers) for workers in (1, processors()))
    assert [joined(d) for d in one.described] == [joined(d) for d in all_.described]
    gain = one.wall_seconds / all_.wall_seconds
    click.echo(
        f"{source}: {len(crystals) / one.wall_seconds:.1f} structures/s with one process, "
        f"{len(crystals) / all_.wall_seconds:.1f} with {processors()}: {gain:.2f} x "
        f"({100 * gain / processors():.0f} % of linear), {all_.peak_megabytes:.0f} MB each, "
        f"start {all_.warm_up_seconds:.1f} s"
    )
    return one, all_


@click.command()
@sample_options
@click.option("--structure-encoder", default="alignn-ff", show_default=True)
@click.option("--text-encoder", default="minilm", show_default=True)
@click.option("--materials", default=75_993, show_default=True, help="To project to.")
def main(
    archive: Path,
    n: int,
    seed: int,
    structure_encoder: str,
    text_encoder: str,
    materials: int,
) -> None:
    """Measure every stage on random structures; project to ``--materials`` of the same kind."""
    crystals = [crystal for _, crystal in choose(archive, n, seed)]
    cores = processors()
    start = time.process_time()
    for crystal in crystals:
        analyse(crystal)
    core_seconds = {"structures (symmetry)": (time.process_time() - start) / len(crystals)}
    for source in _GENERATORS:
        _, all_ = text_rates(source, crystals)
        core_seconds[f"text, {source}"] = cores * all_.wall_seconds / len(crystals)
        texts = [joined(described) for described in all_.described]
        random.Random(seed).shuffle(texts)
        for precision in ("float32", "bfloat16"):
            title = f"{text_encoder} {precision}, {source}"
            core_seconds[title] = cores * encoding_seconds(text_encoder, precision, texts)
    for precision in ("float32", "bfloat16"):
        title = f"{structure_encoder} {precision}"
        core_seconds[title] = cores * encoding_seconds(structure_encoder, precision, crystals)
    click.echo(f"\n{'stage':38}{'core-ms each':>13}{f'h on {cores} cores':>15}{'h on 16':>10}")
    for title, seconds in core_seconds.items():
        hours = seconds * materials / 3600
        click.echo(f"{title:38}{1000 * seconds:13.1f}{hours / cores:15.2f}{hours / 16:10.2f}")
    for precision in ("float32", "bfloat16"):
        other = "bfloat16" if precision == "float32" else "float32"
        hours = sum(s for title, s in core_seconds.items() if other not in title) * materials / 3600
        click.echo(f"{f'all, {precision}':51}{hours / cores:15.2f}{hours / 16:10.2f}")


if __name__ == "__main__":
    main()
