"""A small HTTP server that answers an OPTIMADE client as big providers do on their odd days."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from optimade_entries import entry


@dataclass(frozen=True)
class Reply:
    """What is answered once.

    Parameters
    ----------
    body : bytes
    status : int
    headers : mapping of str to str
    drip : float
        Seconds between bytes.
    length : int, optional
        What Content-Length says; by default the truth.
    """

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    drip: float = 0.0
    length: int | None = None


def reply(document: Any, status: int = 200, **headers: str) -> Reply:
    return Reply(json.dumps(document).encode(), status, headers)


def meta(**changes: Any) -> dict[str, Any]:
    return {
        "api_version": "1.1.0",
        "more_data_available": False,
        "provider": {"prefix": "quirk", "name": "Quirky", "description": ""},
        "implementation": {"name": "homemade", "version": "0.3"},
    } | changes


@dataclass
class QuirkyServer:
    """By default three pages of two structures each, with offsets.

    Parameters
    ----------
    base : str
    routes : dict
        What answers a path; a function of the query's parameters, or replies in their order, of
        which the last is repeated.
    asked : list of str
        Paths and queries that were asked for.
    """

    base: str = ""
    routes: dict[str, Callable[[dict[str, str]], Reply] | list[Reply]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)
    total: int = 6
    size: int = 2

    def __post_init__(self) -> None:
        self.routes = {
            "/v1/info": lambda _: reply({"data": {"attributes": {}}, "meta": meta()}),
            "/v1/info/structures": lambda _: reply({}, 404),
            "/v1/structures": lambda query: reply(self.page(int(query.get("page_offset", 0)))),
        }

    def page(self, offset: int, **changes: Any) -> dict[str, Any]:
        """A page in a provider's form."""
        last = min(offset + self.size, self.total)
        return {
            "data": [entry(f"q{n}", 4.0 + n / 20) for n in range(offset, last)],
            "links": {"next": self.offset(last) if last < self.total else None},
            "meta": meta(more_data_available=last < self.total, data_returned=self.total),
        } | changes

    def offset(self, offset: int) -> str:
        return f"{self.base}/v1/structures?page_offset={offset}"

    def answer(self, address: str) -> Reply:
        parts = urlsplit(address)
        self.asked.append(address)
        route = self.routes.get(parts.path)
        if route is None:
            return reply({"errors": [{"detail": "no such thing"}]}, 404)
        if isinstance(route, list):
            return route.pop(0) if len(route) > 1 else route[0]
        return route({name: values[0] for name, values in parse_qs(parts.query).items()})

    @property
    def offsets(self) -> list[int]:
        """The offsets of the pages that were asked for."""
        return [
            int(parse_qs(urlsplit(one).query).get("page_offset", ["0"])[0])
            for one in self.asked
            if one.startswith("/v1/structures")
        ]


@contextmanager
def serving() -> Iterator[QuirkyServer]:
    server = QuirkyServer()
    stop = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            server.agents.add(self.headers["User-Agent"])
            one = server.answer(self.path)
            self.send_response(one.status)
            for name, value in one.headers.items():
                self.send_header(name.replace("_", "-"), value)
            length = len(one.body) if one.length is None else one.length
            self.send_header("Content-Length", str(length))
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            try:
                if not one.drip:
                    self.wfile.write(one.body)
                    return
                for byte in one.body:
                    self.wfile.write(bytes([byte]))
                    if stop.wait(one.drip):
                        return
            except OSError:
                return

        def log_message(self, *_: Any) -> None:
            return

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.base = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        stop.set()
        http.shutdown()
        http.server_close()
        thread.join()
