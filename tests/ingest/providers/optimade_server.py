"""Runs the real OPTIMADE server of the optimade package, filled from a file, in memory.

Run as ``python optimade_server.py FILE.jsonl``; it prints its port and ends with its standard
input.
"""

from __future__ import annotations

import logging
import socket
import sys
import threading
from pathlib import Path

import uvicorn
from optimade.server.config import ServerConfig
from optimade.server.create_app import create_app


def main(entries: Path) -> None:
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
        pass
    print(port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
