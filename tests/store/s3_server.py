"""Runs moto's S3 server, which keeps everything in memory, on a port of the local machine.

The requests are served one at a time: moto checks a condition (such as "only if there is no such
object") and stores in two steps, between which another thread could come; real S3 does not let it.

At `COUNTS` it tells what was asked of it since it was last asked that: reads, writes, and bytes of
its answers.

Run as ``python s3_server.py``, by a Python that has moto; it prints its port.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from moto.server import create_backend_app
from s3_keys import READING_KEY
from werkzeug.serving import make_server

COUNTS = "/-counts"


class OneAtATime:
    """A WSGI application whose calls wait for each other and are counted."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[Any]:
        with self._lock:
            if environ["PATH_INFO"] == COUNTS:
                body = json.dumps(self._counts).encode()
                self._counts.clear()
                return _answered(start_response, "200 OK", body)
            reads = environ["REQUEST_METHOD"] in ("GET", "HEAD")
            if not reads and READING_KEY in environ.get("HTTP_AUTHORIZATION", ""):
                body = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
                return _answered(start_response, "403 Forbidden", body)
            found = list(self._application(environ, start_response))
            self._counts["reads" if reads else "writes"] += 1
            self._counts["bytes"] += sum(map(len, found))
            return found


def _answered(start_response: Callable[..., Any], status: str, body: bytes) -> list[bytes]:
    start_response(status, [("Content-Length", str(len(body)))])
    return [body]


def main() -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    application = OneAtATime(create_backend_app("s3"))
    server = make_server("127.0.0.1", 0, application, threaded=True)
    print(server.port, flush=True)
    # Ends when the process that started it does, however that ends.
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
