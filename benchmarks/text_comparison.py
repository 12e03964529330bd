"""Runs a text generator and the plain library on the same structures and compares both."""

from __future__ import annotations

import cProfile
import multiprocessing
import pstats
import random
import resource
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click

from featurestore.crystal import Crystal
from ingest.structures.jarvis import read_jarvis
from ingest.text.base import Sentence
from ingest.text.registry import generator, text_part

Described = list[Sentence] | str


@dataclass(frozen=True)
class Measured:
    """What one way of describing made of the structures, and what it took."""

    described: list[Described]
    cpu_seconds: list[float]
    wall_seconds: float
    warm_up_seconds: float
    peak_megabytes: float


def choose(archive: Path, n: int, seed: int) -> list[tuple[str, Crystal]]:
    """``n`` random structures of an archive, or all where it has fewer."""
    readable = [
        (record.material_id, record.structure)
        for record in read_jarvis(archive)
        if isinstance(record.structure, Crystal)
    ]
    return random.Random(seed).sample(readable, min(n, len(readable)))


def run(
    source: str,
    ours: Callable[[], Callable[[Crystal], Described]],
    plain: Callable[[], Callable[[Crystal], Described]],
    steps: Mapping[str, str],
    chosen: Sequence[tuple[str, Crystal]],
    workers: int,
) -> None:
    """Compare two ways of describing and print all about it; exit 1 where a text differs."""
    names, crystals = zip(*chosen, strict=True)
    fast = measure(ours, crystals, workers)
    equal = compare(names, fast, measure(plain, crystals, workers))
    tag_table(source, fast.described)
    hot_spots(source, crystals[:50], steps)
    raise SystemExit(0 if equal else 1)


def measure(
    way: Callable[[], Callable[[Crystal], Described]], crystals: Sequence[Crystal], workers: int
) -> Measured:
    """Describe the structures in ``workers`` fresh processes; ``way`` is called once in each."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start, initargs=(way,)
    ) as pool:
        started = [pool.submit(_started) for _ in range(workers)]
        warm_up = max(future.result() for future in started)
        begin = time.perf_counter()
        results = list(pool.map(_describe, crystals))
        wall = time.perf_counter() - begin
    return Measured(
        described=[described for described, _, _ in results],
        cpu_seconds=[seconds for _, seconds, _ in results],
        wall_seconds=wall,
        warm_up_seconds=warm_up,
        peak_megabytes=max(megabytes for _, _, megabytes in results),
    )


_worker_describe: Callable[[Crystal], Described] | None = None
_worker_warm_up = 0.0


def _start(way: Callable[[], Callable[[Crystal], Described]]) -> None:
    global _worker_describe, _worker_warm_up
    begin = time.perf_counter()
    _worker_describe = way()
    _worker_warm_up = time.perf_counter() - begin


def _started() -> float:
    # Long enough for the other workers to be started too, instead of this one answering twice.
    time.sleep(0.5)
    return _worker_warm_up


def _describe(crystal: Crystal) -> tuple[Described, float, float]:
    assert _worker_describe is not None
    begin = time.process_time()
    try:
        described = _worker_describe(crystal)
    except Exception as error:
        described = f"failed: {error}"
    return described, time.process_time() - begin, _peak_megabytes()


def _peak_megabytes() -> float:
    """Peak resident memory of this process, which ``ru_maxrss`` would mix with its parent's."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def joined(described: Described) -> str:
    """The text, or the failure, of one structure."""
    if isinstance(described, str):
        return described
    return " ".join(sentence.text for sentence in described)


def compare(names: Sequence[str], ours: Measured, plain: Measured) -> bool:
    """Print rates, memory and every difference; whether all texts are equal."""
    n = len(names)
    for title, measured in (("ours", ours), ("plain", plain)):
        cpu = sum(measured.cpu_seconds) / n
        click.echo(
            f"{title:5}  {cpu * 1000:9.1f} ms CPU a structure  {n / measured.wall_seconds:8.2f} "
            f"structures/s  start {measured.warm_up_seconds:5.1f} s  "
            f"peak {measured.peak_megabytes:5.0f} MB a process"
        )
    ratio = sum(plain.cpu_seconds) / sum(ours.cpu_seconds)
    click.echo(f"CPU time, plain / ours: {ratio:.1f}")
    different = 0
    failed = [0, 0]
    for name, one, other in zip(names, ours.described, plain.described, strict=True):
        failed[0] += isinstance(one, str)
        failed[1] += joined(other).startswith("failed:")
        # A failure is the same failure whatever words it comes in.
        both_failed = isinstance(one, str) and joined(other).startswith("failed:")
        if joined(one) != joined(other) and not both_failed:
            different += 1
            click.echo(f"DIFFERENT {name}\n  ours:  {joined(one)}\n  plain: {joined(other)}")
    click.echo(f"texts: {n}, different: {different}, failed: ours {failed[0]}, plain {failed[1]}")
    return different == 0


def tag_table(source: str, described: Sequence[Described]) -> None:
    """Print how often each tag of both taggers occurs, and how many sentences have none."""
    sentences = [s for text in described if not isinstance(text, str) for s in text]
    store = Counter(sentence.tag for sentence in sentences)
    reference = Counter(tag for sentence in sentences for tag in sentence.reference_tags)
    click.echo(f"\nsentences: {len(sentences)}\n{'tag':24}{'store':>9}{'reference':>11}")
    for tag in text_part(source).tags:
        click.echo(f"{tag:24}{store[tag]:9}{reference[tag] or '':>11}")
    several = sum(len(sentence.reference_tags) > 1 for sentence in sentences)
    none = sum(not sentence.reference_tags for sentence in sentences)
    click.echo(f"reference rules: no tag {none}, several tags {several}")


def hot_spots(source: str, crystals: Sequence[Crystal], steps: Mapping[str, str]) -> None:
    """Print the share of ``steps``, names of functions by title, in describing the structures.

    The profiler slows Python code down, so these are proportions.
    """
    made = generator(source)
    made.warm_up()
    profile = cProfile.Profile()
    for crystal in crystals:
        try:
            profile.runcall(made.describe, crystal)
        except Exception as error:
            click.echo(f"not profiled: {error}")
    stats = pstats.Stats(profile)
    total = stats.total_tt  # type: ignore[attr-defined]
    click.echo(f"\nwhere the time goes ({len(crystals)} structures, under the profiler)")
    for title, function in steps.items():
        spent = sum(
            entry[3]
            for (_, _, name), entry in stats.stats.items()  # type: ignore[attr-defined]
            if name == function
        )
        click.echo(f"{title:32}{100 * spent / total:6.1f} %")
