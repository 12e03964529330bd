"""Runs moto's S3 server, which keeps everything in memory, on a port of the local machine.

The requests are served one at a time: moto checks a condition (such as "only if there is no such
object") and stores in two steps, between which another thread could come; real S3 does not let it.

Run as ``python s3_server.py``, by a Python that has moto; it prints its port.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto.server import create_backend_app
from werkzeug.serving import make_server


class OneAtATime:
    """A WSGI application whose calls wait for each other."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._lock = threading.Lock()

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[Any]:
        with self._lock:
            return list(self._application(environ, start_response))


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
