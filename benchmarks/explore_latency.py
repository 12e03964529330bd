"""The pages of a store in a browser: how long the server takes, and what memory.

python -m benchmarks.explore_latency --materials 1000000
"""

from __future__ import annotations

import http.client
import json
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import click
import numpy as np

from benchmarks.large_store import make_store, materials_table
from featurestore.store import FeatureStore

_WARM_UP = 30.0


@contextmanager
def served(store: Path) -> Iterator[tuple[int, str, int]]:
    """A server in a process of its own: its number, host and port."""
    start = "from featurestore.cli import main; main()"
    command = [sys.executable, "-c", start, "explore", str(store), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://([\d.]+):(\d+)/", line)
        assert found, line
        yield process.pid, found[1], int(found[2])
    finally:
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.wait(30)
        print(f"Ctrl-C ends it in {time.monotonic() - begun:.1f} s")


def memory(pid: int) -> tuple[float, float]:
    """Resident memory in MB of a process, and of its children."""
    rss: dict[int, float] = {}
    children: list[int] = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            status = (entry / "status").read_text()
        except OSError:
            continue
        number = int(entry.name)
        parent = re.search(r"PPid:\s+(\d+)", status)
        used = re.search(r"VmRSS:\s+(\d+)", status)
        if used is not None and parent is not None:
            rss[number] = int(used[1]) / 1024
            if int(parent[1]) == pid:
                children.append(number)
    return rss.get(pid, 0.0), sum(rss[one] for one in children)


class Client:
    """Asks a server, one request after the other."""

    def __init__(self, host: str, port: int) -> None:
        self._line = http.client.HTTPConnection(host, port, timeout=120)

    def get(self, path: str, **pairs: object) -> tuple[float, bytes]:
        """Milliseconds until the whole answer is there, and the answer."""
        address = f"{path}?{urlencode(pairs)}" if pairs else path
        begun = time.perf_counter()
        self._line.request("GET", address)
        answer = self._line.getresponse()
        body = answer.read()
        took = 1e3 * (time.perf_counter() - begun)
        assert answer.status == 200, (address, answer.status, body[:300])
        return took, body


def beside_writes(store: FeatureStore, host: str, port: int, readers: int, first: int) -> None:
    """So many who search at a time, while materials are written ten at a time."""
    times: list[float] = []
    totals: dict[int, list[int]] = {number: [] for number in range(readers)}

    def read(number: int) -> None:
        client = Client(host, port)
        for page in range(1, 5):
            took, body = client.get("/api/find", q="Na Cl", sort="-volume", page=page)
            times.append(took)
            totals[number].append(json.loads(body)["total"])

    threads = [threading.Thread(target=read, args=[number]) for number in totals]
    for thread in threads:
        thread.start()
    commits = 0
    while any(thread.is_alive() for thread in threads):
        store.merge("materials", materials_table(range(first, first + 10)))
        first, commits = first + 10, commits + 1
    assert len(times) == 4 * readers, "every question was answered"
    assert all(seen == sorted(seen) for seen in totals.values()), "nobody saw an older state"
    low, high = np.percentile(times, [50, 95])
    seen = len({total for one in totals.values() for total in one})
    print(
        f"{readers} readers at a time, {commits} commits meanwhile, {seen} states seen: "
        f"p50 {low:.0f} ms, p95 {high:.0f} ms",
        flush=True,
    )


def interactive(host: str, port: int, path: str) -> str:
    """Until the page can be used in chromium, in ms; empty where there is none."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return ""
    chromium = Path("/usr/bin/chromium")
    if not chromium.exists():
        return ""
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        times = []
        for _ in range(5):
            page.goto(f"http://{host}:{port}{path}", wait_until="load")
            entry = "performance.getEntriesByType('navigation')[0].domInteractive"
            times.append(float(page.evaluate(entry)))
        browser.close()
    return f"{np.median(times):.0f}"


@click.command()
@click.option("--materials", default=31_107, show_default=True, help="Of a made-up store.")
@click.option("--width", default=256, show_default=True, help="Of its structure vectors.")
@click.option(
    "--store", type=click.Path(path_type=Path, exists=True), help="Serve this store instead."
)
@click.option("--repeats", default=30, show_default=True, help="Requests of each kind.")
@click.option("--seed", default=0, show_default=True, help="Of what is asked.")
@click.option(
    "--readers", default=50, show_default=True, help="At a time, while a made-up store is written."
)
def main(
    materials: int, width: int, store: Path | None, repeats: int, seed: int, readers: int
) -> None:
    """Print p50 and p95 of the server's answers in ms, and memory in MB."""
    own = store is None
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        if store is None:
            store = Path(folder) / "store"
            print(make_store(store, materials, width, None, texts=False))
        opened = FeatureStore.open(store)
        with opened.session() as session:
            ids = session.query("SELECT material_id FROM materials")["material_id"].to_pylist()
            formulas = session.query("SELECT formula FROM materials USING SAMPLE 500")
            elements = sorted(
                {e for f in formulas["formula"].to_pylist() for e in re.findall("[A-Z][a-z]?", f)}
            )
            encoder = session.query(
                "SELECT encoder_id FROM encoders WHERE kind = 'structure' ORDER BY 1"
            )["encoder_id"][0].as_py()
            name = session.query("SELECT min(property) AS p FROM properties")["p"][0].as_py()
        with served(store) as (pid, host, port):
            client = Client(host, port)
            print(f"{len(ids):,} materials")
            first, _ = client.get("/")
            print(f"the very first page: {first:.0f} ms; memory {memory(pid)[0]:.0f} MB")
            time.sleep(2.0)
            _wait_for_workers(client)
            asked: dict[str, Callable[[], tuple[float, bytes]]] = {
                "first page": lambda: client.get("/"),
                "page 200, by atoms": lambda: client.get("/", sort="-n_atoms", page=200),
                "search by two elements": lambda: client.get(
                    "/", q=" ".join(draw.sample(elements, min(2, len(elements))))
                ),
                "search by SQL": lambda: client.get("/", q=f"volume > {draw.uniform(20, 300):.3f}"),
                "facet: histogram": lambda: client.get(
                    "/", of=name, system=draw.choice(["cubic", "tetragonal", "trigonal"])
                ),
                "material": lambda: client.get("/material", id=draw.choice(ids)),
                "neighbours": lambda: client.get(
                    "/api/material/neighbours", id=_with_vector(draw, ids, client, encoder),
                    encoder=encoder,
                ),
                "drawing": lambda: client.get("/api/material/drawing", id=draw.choice(ids)),
                "map, kept": lambda: client.get("/api/map", encoder=encoder, format="packed"),
                "SQL": lambda: client.get(
                    "/api/sql", q="SELECT crystal_system, count(*) FROM materials GROUP BY ALL"
                ),
            }  # fmt: skip
            took, body = asked["map, kept"]()
            print(
                f"map by principal components, first time: {took:.0f} ms, {len(body) / 1e6:.1f} MB"
            )
            print(f"{'request':26} {'p50 ms':>8} {'p95 ms':>8}")
            for what, ask in asked.items():
                times = [ask()[0] for _ in range(repeats)]
                low, high = np.percentile(times, [50, 95])
                print(f"{what:26} {low:8.0f} {high:8.0f}", flush=True)
            if own:
                beside_writes(opened, host, port, readers, len(ids))
            server, workers = memory(pid)
            print(f"memory: server {server:.0f} MB, its worker processes {workers:.0f} MB")
            if ready := interactive(host, port, "/"):
                print(f"first page in chromium until it can be used: {ready} ms")


def _wait_for_workers(client: Client) -> None:
    """Typed SQL is run by processes that take seconds to start."""
    until = time.monotonic() + _WARM_UP
    while time.monotonic() < until:
        took, _ = client.get("/api/sql", q="SELECT 1")
        if took < 500:
            return


def _with_vector(draw: random.Random, ids: list[str], client: Client, encoder: str) -> str:
    """A material that has a vector; not all of a real store have."""
    for _ in range(100):
        one = draw.choice(ids)
        _, body = client.get("/api/material/neighbours", id=one, encoder=encoder, k=1)
        if not json.loads(body)["problem"]:
            return one
    raise click.ClickException(f"no material has a vector of {encoder}")


if __name__ == "__main__":
    main()
