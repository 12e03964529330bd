"""Requests and bytes of usual commands on a store in a bucket, counted by a local S3 server (moto).

python -m benchmarks.s3_requests
"""

from __future__ import annotations

import os
import shlex
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from click.testing import CliRunner
from moto.server import create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from featurestore.cli.root import root

_SPLITS = "ingest splits --random 80/10/10 --seed 0 --property formation_energy_peratom"
COMMANDS = (
    *("ingest sample", "ingest sample", "info", "sql 'FROM materials'", _SPLITS, _SPLITS),
    *("snapshot create first", "verify"),
)


class Counting:
    """The server's application, one request at a time, and what it was asked for."""

    def __init__(self) -> None:
        self._application = create_backend_app("s3")
        self._lock = threading.Lock()
        self.methods: Counter[str] = Counter()
        self.read = self.written = 0

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        with self._lock:
            body = list(self._application(environ, start_response))
            self.methods[environ["REQUEST_METHOD"]] += 1
            self.read += sum(map(len, body))
            self.written += int(environ.get("CONTENT_LENGTH") or 0)
        return body

    def begin(self) -> None:
        """Count from nothing."""
        self.methods.clear()
        self.read = self.written = 0


class Quiet(WSGIRequestHandler):
    """No line for each request."""

    def log(self, *arguments: Any) -> None:
        """Say nothing."""


@contextmanager
def bucket_of(counting: Counting) -> Iterator[str]:
    """A place for a store on a local server; environment variables tell where it is."""
    server = make_server("127.0.0.1", 0, counting, threaded=True, request_handler=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.port}"
    bucket = urllib.request.Request(f"{endpoint}/materials", method="PUT")
    urllib.request.urlopen(bucket, timeout=30).close()
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "made-up",
        "AWS_SECRET_ACCESS_KEY": "made-up",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
    }
    try:
        yield "s3://materials/store"
    finally:
        server.shutdown()


@click.command()
def main() -> None:
    """Print the requests and kB of each command."""
    counting = Counting()
    with bucket_of(counting) as os.environ["FEATURESTORE_URI"]:
        measure(counting)


def measure(counting: Counting) -> None:
    """Run the commands one after the other."""
    print(" read  write      kB  of them read  command")
    for command in COMMANDS:
        counting.begin()
        result = CliRunner().invoke(root, shlex.split(command), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        writes = counting.methods["PUT"] + counting.methods["POST"]
        reads = counting.methods.total() - writes
        both = (counting.read + counting.written) / 1e3
        size = f"{both:6.0f}  {counting.read / 1e3:12.0f}"
        print(f"{reads:5d}  {writes:5d}  {size}  {command}", flush=True)


if __name__ == "__main__":
    main()
