"""A server in a thread, as the command runs it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from explain.explore.app import make_app
from explain.explore.connections import Server
from explain.explore.engine import Engine, Limits
from explain.explore.safety import Guard


@contextmanager
def running(uri: str, limits: Limits) -> Iterator[tuple[str, int]]:
    """Host and port of a server; it ends with the block, whatever is under way."""
    server = Server(make_app(Engine(uri, None, limits), Guard()), "127.0.0.1", 0)
    started = threading.Event()
    server.when_started = started.set
    thread = threading.Thread(target=server.run)
    thread.start()
    assert started.wait(20)
    try:
        yield server.address
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive(), "the server ends, whatever is under way"


def asked(address: tuple[str, int], path: str) -> tuple[bytes, float]:
    """An answer with its head, and how long it took."""
    begun = time.monotonic()
    with socket.create_connection(address, 30) as line:
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        line.sendall(head.encode())
        parts = []
        while part := line.recv(65536):
            parts.append(part)
        return b"".join(parts), time.monotonic() - begun
