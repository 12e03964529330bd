"""Runs the real OPTIMADE server of the optimade package, filled from a file, in memory.

Run as ``python optimade_server.py FILE.jsonl PREFIX``; it prints its port and ends with its
standard input.
"""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from optimade_entries import write_jsonl


@contextmanager
def serving(folder: Path, prefix: str = "exmpl") -> Iterator[str]:
    """The base address of a server with 26 structures, ten a page, in a process of its own."""
    pytest.importorskip("optimade.server", reason="needs optimade[server]")
    entries = folder / "entries.jsonl"
    write_jsonl(entries)
    server = subprocess.Popen(
        [sys.executable, __file__, str(entries), prefix],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=folder,
        env={"HOME": str(folder), "PATH": ""},  # it writes its log beneath the home folder
        text=True,
    )
    assert server.stdin is not None and server.stdout is not None
    try:
        port = server.stdout.readline().strip()
        assert port, "the OPTIMADE server did not start"
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stdin.close()
        server.wait(timeout=20)
        server.stdout.close()


def main(entries: Path, prefix: str) -> None:
    import uvicorn
    from optimade.models import Provider
    from optimade.server.config import ServerConfig
    from optimade.server.create_app import create_app

    logging.disable(logging.WARNING)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    config = ServerConfig(
        insert_test_data=False,
        insert_from_jsonl=entries,
        database_backend="mongomock",
        base_url=f"http://127.0.0.1:{port}",
        page_limit=10,
        page_limit_max=20,
        provider=Provider(prefix=prefix, name="Example provider", description="of the tests"),
        provider_fields={
            "structures": [
                {
                    "name": "delta_e",
                    "type": "float",
                    "unit": "eV/atom",
                    "description": "Energy of formation.",
                }
            ]
        },
    )
    server = uvicorn.Server(uvicorn.Config(create_app(config), log_level="error"))
    threading.Thread(target=server.run, args=([listening],), daemon=True).start()
    while not server.started:
        time.sleep(0.01)
    print(port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
