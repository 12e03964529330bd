"""A Ray cluster of three nodes on this machine: what it costs, and the table of failures tried.

    python -m benchmarks.ray_cluster failures
    python -m benchmarks.ray_cluster overhead

Each line of the failures is one run of work on the cluster with something done to it on the way:
what was done, what came of the items, and the seconds from there to the end. A silent node and a
lost head each take a minute, Ray's own time-out.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from benchmarks.options import processor_time
from featurestore.errors import FeatureStoreError, InvalidInputError
from featurestore.failure import Failure
from featurestore.machine import ray_workers
from featurestore.machine.cluster import Cluster, on_cluster
from featurestore.machine.pool import Pool, worker_pool
from featurestore.machine.workers import WorkerPool, no_initializer

_ITEMS = 60
_TICK = 0.05
_SECONDS_AN_ITEM = 5.0
_MEMORY = 4 << 30


def work(item: Any) -> Any:
    """Run in a worker: what the item says, by default a short sleep."""
    if item == "hang":
        time.sleep(600)
    if item == "poison":
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "memory":
        return len(bytearray(8 << 30))
    time.sleep(_TICK)
    return os.getpid()


def busy(seconds: float) -> float:
    """Run in a worker: use the processor for so long."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass
    return seconds


def refuse() -> None:
    """Run in a worker that cannot start."""
    raise InvalidInputError("its weights are others")


@contextmanager
def three_nodes(cpus: int = 1) -> Iterator[Any]:
    """Ray's own cluster for tests: a head and two more nodes."""
    # A loaded machine takes longer than Ray's half minute, and leaves nothing to workers that are
    # nicer than all else.
    settings = {"raylet_start_wait_time_s": "300", "worker_niceness": "0"}
    os.environ |= {f"RAY_{name}": value for name, value in settings.items()}
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster as TestCluster

    head = {"num_cpus": cpus, "include_dashboard": False}
    started = TestCluster(initialize_head=True, head_node_args=head)
    for _ in range(2):
        started.add_node(num_cpus=cpus)
    try:
        yield started
    finally:
        started.shutdown()


def said(
    items: Sequence[Any],
    harm: Callable[[dict[Any, Any]], None],
    after: int,
    limit: float | None = _SECONDS_AN_ITEM,
) -> str:
    """Work on items and do harm when so many have their result; what came of all, in words."""
    results: dict[Any, Any] = {}
    harmed = 0.0
    with worker_pool(3, no_initializer, (), _MEMORY) as pool:
        for key, result in pool.run(work, enumerate(items), limit):
            results[key] = result
            if len(results) == after:
                harmed = time.monotonic()
                harm(results)
    seconds = time.monotonic() - harmed
    kinds = Counter(r.error if isinstance(r, Failure) else "done" for r in results.values())
    lost = len(items) - len(results)
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    return f"{told}{f', {lost} LOST' if lost else ''}; {seconds:.0f} s"


def failures_of(cluster: Any) -> Iterator[tuple[str, str]]:
    """What was tried, and what happened."""
    nothing: Callable[[Any], None] = lambda results: None  # noqa: E731
    plain = list(range(_ITEMS))
    with on_cluster(Cluster(cluster.address)):
        yield "nothing", said(plain, nothing, 1)
        for harmful in ("hang", "poison", "memory"):
            yield f"an item: {harmful}", said([*plain, harmful, *plain], nothing, 1)
        yield "a worker killed", said(plain, _kill_a_worker, 20)
        yield "a node killed", said(plain, lambda _: cluster.remove_node(_last(cluster)), 20)
        cluster.add_node(num_cpus=1)
        yield "a node gone silent", said(plain, lambda _: _stop(_last(cluster)), 20, None)
        yield "cannot start", _error(lambda: worker_pool(2, refuse))
        mine = ray_workers.facts()
        ray_workers.facts = lambda: {**mine, "torch": "0.0"}
        yield "other versions", _error(lambda: worker_pool(2))
        ray_workers.facts = lambda: mine
    yield "a wrong address", _error_of(Cluster("127.0.0.1:9"))
    for name, harm in (("Ctrl-C", signal.SIGINT), ("SIGTERM", signal.SIGTERM)):
        yield name, _in_a_process(cluster, lambda child, harm=harm: child.send_signal(harm))
    yield "the head lost", _in_a_process(cluster, lambda _: _kill_head(cluster))


def _kill_a_worker(results: dict[Any, Any]) -> None:
    os.kill(next(r for r in results.values() if isinstance(r, int)), signal.SIGKILL)


def _last(cluster: Any) -> Any:
    return cluster.list_all_nodes()[-1]


def processes(node: Any, kind: str) -> list[int]:
    """The numbers of a node's own processes of a kind."""
    return [info.process.pid for info in node.all_processes.get(kind, [])]


def _stop(node: Any) -> None:
    """Stop a node and its workers: nothing of it answers, and nothing of it ends."""
    for raylet in processes(node, "raylet"):
        children = Path(f"/proc/{raylet}/task/{raylet}/children").read_text("ascii").split()
        for pid in [raylet, *map(int, children)]:
            os.kill(pid, signal.SIGSTOP)


def _kill_head(cluster: Any) -> None:
    for pid in processes(cluster.head_node, "gcs_server"):
        os.kill(pid, signal.SIGKILL)


def _error(make: Callable[[], Pool]) -> str:
    began = time.monotonic()
    try:
        with make() as pool:
            list(pool.run(work, [(0, 0)]))
    except FeatureStoreError as error:
        return f"{type(error).__name__} after {time.monotonic() - began:.0f} s: {error}"
    return "NO ERROR"


def _error_of(cluster: Cluster) -> str:
    began = time.monotonic()
    try:
        with on_cluster(cluster):
            return "NO ERROR"
    except FeatureStoreError as error:
        return f"{type(error).__name__} after {time.monotonic() - began:.1f} s: {error}"


def _in_a_process(cluster: Any, harm: Callable[[Any], None]) -> str:
    """A driver of its own that works for long; the harm is done when it has its first results."""
    command = [sys.executable, "-m", "benchmarks.ray_cluster", "drive", cluster.address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline()]
        harm(child)
        began = time.monotonic()
        reader = threading.Thread(target=lambda: lines.extend(child.stdout or ()))
        reader.start()
        try:
            child.wait(180)
        except subprocess.TimeoutExpired:
            child.kill()
        reader.join()
    last = lines[-1].strip()
    return f"exit code {child.returncode} after {time.monotonic() - began:.0f} s; {last}"


@click.group()
def main() -> None:
    """Costs and failures of a cluster."""


@main.command(hidden=True)
@click.argument("address")
def drive(address: str) -> None:
    """Work for minutes as a stage does, until it is told to stop."""
    from ingest.pipeline.interruption import stop_on_interrupt

    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    done = 0
    with on_cluster(Cluster(address)), stop_on_interrupt() as interruption:
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
        with worker_pool(2) as pool:
            items = interruption.until_asked((n, n) for n in range(100_000))
            for done, _ in enumerate(pool.run(work, items), 1):
                if done == 1:
                    print("working", flush=True)
                elif done % 200 == 0:
                    print(f"{done} results", flush=True)
    print(f"stopped in order after {done} results", flush=True)


@main.command()
def failures() -> None:
    """Print the table of failures."""
    with three_nodes() as cluster:
        for what, happened in failures_of(cluster):
            print(f"{what:22s}{happened}", flush=True)


@main.command()
@click.option("--workers", default=2, show_default=True)
@click.option("--seconds", default=10.0, show_default=True, help="Of work, each time.")
def overhead(workers: int, seconds: float) -> None:
    """Print the driver's CPU time an item, here and on a cluster."""
    print("ms an item    pool here: driver's ms   wall s    Ray: driver's ms   wall s")
    with (
        three_nodes() as cluster,
        on_cluster(Cluster(cluster.address)),
        WorkerPool(workers) as here,
        worker_pool(workers) as there,
    ):
        for pool in (here, there):
            list(pool.run(busy, [(n, 0.001) for n in range(8)]))
        for cost in (0.001, 0.01, 0.1):
            count = int(seconds / cost)
            costs = [_costs(pool, cost, count) for pool in (here, there)]
            (a, b), (c, d) = costs
            print(f"{1000 * cost:10.0f}{a:27.2f}{b:9.1f}{c:20.2f}{d:9.1f}", flush=True)


def _costs(pool: Pool, cost: float, count: int) -> tuple[float, float]:
    cpu, began = processor_time(), time.monotonic()
    done = sum(1 for _ in pool.run(busy, ((n, cost) for n in range(count))))
    assert done == count
    return 1000 * (processor_time() - cpu) / count, time.monotonic() - began


if __name__ == "__main__":
    main()
