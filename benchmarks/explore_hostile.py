"""What a hostile client does to the pages of a store: connections, uploads, SQL without end.

python -m benchmarks.explore_hostile demo-store
"""

from __future__ import annotations

import resource
import socket
import threading
import time
from pathlib import Path
from urllib.parse import quote

import click
import numpy as np

from benchmarks.explore_latency import memory, served

_ENDLESS = "SELECT count(*) FROM range(10000000000) a, range(10000000000) b WHERE a.range % 7 = 3"


def ask(host: str, port: int, path: str = "/api/find?q=Fe&as=elements") -> tuple[int, float]:
    """Status and milliseconds of a request on a connection of its own; status 0 where it broke."""
    begun = time.perf_counter()
    try:
        with socket.create_connection((host, port), 60) as line:
            line.sendall(
                f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
            )
            head = line.recv(65536)
            while line.recv(65536):
                pass
    except OSError:
        head = b""
    return int(head[9:12] or 0), 1e3 * (time.perf_counter() - begun)


def others(host: str, port: int, n: int = 20) -> str:
    """How honest requests fare: how many are answered, and how fast."""
    answers = [ask(host, port) for _ in range(n)]
    times = [took for status, took in answers if status == 200]
    low, high = np.percentile(times, [50, 95]) if times else (np.nan, np.nan)
    return f"{len(times)} of {n} others answered, p50 {low:.0f} ms, p95 {high:.0f} ms"


def is_open(line: socket.socket) -> bool:
    """Whether the server has not closed a connection."""
    line.settimeout(0.001)
    try:
        return line.recv(1) != b""
    except TimeoutError:
        return True
    except OSError:
        return False


def connections(pid: int, host: str, port: int, n: int) -> None:
    """So many connections that say nothing."""
    begun, lines, failed = time.perf_counter(), [], 0
    for _ in range(n):
        try:
            lines.append(socket.create_connection((host, port), 30))
        except OSError:
            failed += 1
    took = time.perf_counter() - begun
    print(
        f"{len(lines):,} silent connections in {took:.1f} s, {failed} could not be made", flush=True
    )
    print(f"  meanwhile {others(host, port)}")
    held = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    print(f"  the server has {held} files open, {memory(pid)[0]:.0f} MB")
    time.sleep(16)
    print(f"  after 16 s {sum(map(is_open, lines))} of them are open")
    for line in lines:
        line.close()


def upload(pid: int, host: str, port: int, size: int, announced: bool) -> None:
    """An upload of so many bytes, its length announced or in chunks."""
    begun, sent = time.perf_counter(), 0
    before = memory(pid)[0]
    length = f"Content-Length: {size}" if announced else "Transfer-Encoding: chunked"
    part = b"a" * 2**20
    with socket.create_connection((host, port), 60) as line:
        line.sendall(
            f"POST /try HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: http://{host}:{port}\r\n"
            f"Content-Type: multipart/form-data; boundary=x\r\n{length}\r\n\r\n".encode()
        )
        head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.cif"\r\n\r\n'
        pieces = [head] + [part] * (size // len(part))
        try:
            for piece in pieces:
                framed = piece if announced else b"%x\r\n%s\r\n" % (len(piece), piece)
                line.sendall(framed)
                sent += len(piece)
        except OSError:
            pass
        try:
            answer = line.recv(4096).partition(b"\r\n")[0].decode() or "no answer"
        except OSError as error:
            answer = f"no answer ({error.strerror})"
    took = time.perf_counter() - begun
    how = "announced" if announced else "in chunks"
    print(
        f"{size / 2**30:.0f} GiB {how}: {sent / 2**20:,.0f} MiB sent in {took:.2f} s, then: "
        f"{answer}; memory {before:.0f} to {memory(pid)[0]:.0f} MB"
    )


def endless(host: str, port: int, n: int) -> None:
    """So many queries that never end, at the same time."""
    answers: list[tuple[int, float]] = []
    path = f"/api/sql?q={quote(_ENDLESS)}"
    threads = [
        threading.Thread(target=lambda: answers.append(ask(host, port, path))) for _ in range(n)
    ]
    for thread in threads:
        thread.start()
    time.sleep(1.0)
    print(f"{n} endless queries: {others(host, port)}", flush=True)
    for thread in threads:
        thread.join()
    said = sorted((status, round(took / 1e3)) for status, took in answers)
    print(f"  they end with {said} (status, s; 0: its client has gone after 60 s)")


@click.command()
@click.argument("store", type=click.Path(path_type=Path, exists=True))
@click.option("--connections", "n", default=10_000, show_default=True)
@click.option("--queries", default=4, show_default=True, help="Endless ones at a time.")
def main(store: Path, n: int, queries: int) -> None:
    """Attack the pages of STORE in a server of its own, and print how it and others fare."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with served(store) as (pid, host, port):
        # After the server has started: its own limit stays as it is.
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        ask(host, port)
        print(f"at rest: {others(host, port)}, memory {memory(pid)[0]:.0f} MB", flush=True)
        upload(pid, host, port, 2 * 2**30, announced=True)
        upload(pid, host, port, 2 * 2**30, announced=False)
        connections(pid, host, port, n)
        endless(host, port, queries)
        print(f"afterwards: {others(host, port)}, memory {memory(pid)[0]:.0f} MB")


if __name__ == "__main__":
    main()
