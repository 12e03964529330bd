"""A package index, a web server and registry entries that live on this machine only."""

from __future__ import annotations

import base64
import hashlib
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ingest.weights import cache, registry
from ingest.weights.registry import Source, Weights


@pytest.fixture(autouse=True)
def cache_root(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("FEATURESTORE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def enter(monkeypatch) -> Callable[..., Weights]:
    """Make a registry of one entry."""

    def enter_one(name: str, source: Source, files: dict[str, str | None]) -> Weights:
        entry = Weights(name, "structure", 768, "none", "a test", source, files)
        for module in (registry, cache):
            monkeypatch.setattr(module, "registry", lambda: {name: entry})
        return entry

    return enter_one


@pytest.fixture
def package_index(tmp_path, monkeypatch) -> Callable[..., None]:
    """Publish wheels to a folder that is all pip gets to see."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))

    def publish(name: str, members: dict[str, bytes]) -> None:
        info = f"{name.replace('-', '_')}-1.0.dist-info"
        members = members | {
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
            f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        record = "".join(
            f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(d).digest()).decode()},\n"
            for path, d in members.items()
        )
        with zipfile.ZipFile(folder / f"{name.replace('-', '_')}-1.0-py3-none-any.whl", "w") as z:
            for path, data in members.items():
                z.writestr(path, data)
            z.writestr(f"{info}/RECORD", record)

    return publish


@dataclass
class Site:
    """A web server: what it serves by path, and which paths were asked for."""

    url: str = ""
    pages: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    cut_short: bool = False


@pytest.fixture
def site() -> Iterator[Site]:
    served = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(with_body=False)

        def do_GET(self) -> None:
            served.asked.append(self.path)
            self.answer(with_body=True)

        def answer(self, with_body: bool) -> None:
            page = served.pages.get(self.path.partition("?")[0])
            self.send_response(404 if page is None else 200)
            page = page or b""
            self.send_header("Content-Length", str(len(page)))
            self.send_header("ETag", f'"{sha256(page)}"')
            for name, value in served.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if with_body:
                self.wfile.write(page[: len(page) // 2] if served.cut_short else page)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield served
    server.shutdown()
    server.server_close()
