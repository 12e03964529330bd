"""Runs the server: a token where one is due, an address to open, an end that leaves nothing."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlencode

from explain.explore.app import make_app
from explain.explore.connections import Server
from explain.explore.engine import Engine, Limits
from explain.explore.safety import Guard, is_loopback
from featurestore.errors import InvalidInputError, StorageError
from featurestore.store import FeatureStore

_SECONDS_TO_END = 5.0


def serve(
    store_uri: str,
    *,
    at: str | None = None,
    host: str = "127.0.0.1",
    port: int = 8765,
    token: str | None = None,
    names: Sequence[str] = (),
    seconds: float = 20.0,
    opens: bool = False,
    say: Callable[[str], object] = print,
) -> None:
    """Serve the pages of a store until Ctrl-C or SIGTERM.

    Parameters
    ----------
    store_uri : str
        Folder of the store, or ``s3://bucket/prefix``.
    at : str, optional
        A snapshot or time.
    host, port : str, int
        Where to listen; port 0 takes any that is free.
    token : str, optional
        What every request must carry; "new" makes one, as does any host that other machines reach.
    names : sequence of str
        Further names by which the server may be called.
    seconds : float
        Time that one answer may take.
    opens : bool
        Whether to open the page in a browser.
    say : callable
        Told the address.

    Raises
    ------
    StoreNotFoundError, StorageError, UnknownNameError
        If there is no store, it cannot be read, or it has no such snapshot.
    InvalidInputError
        If the token is too short to be one.
    StorageError
        If the address is in use.
    """
    FeatureStore.open(store_uri, at=at)  # errors belong to the terminal, not to the first page
    if token == "new" or (token is None and not is_loopback(host)):
        token = secrets.token_urlsafe(24)
    if token is not None and len(token) < 16:
        raise InvalidInputError(
            "a token of fewer than 16 characters can be guessed; --token new makes one"
        )
    before = tempfile.tempdir
    # What goes on when the server is ended, and the queries' spilled rows, are not left behind.
    folder = tempfile.mkdtemp(prefix="featurestore-explore-")
    tempfile.tempdir = folder
    try:
        engine = Engine(store_uri, at, Limits(seconds=seconds))
        app = make_app(engine, Guard(host, token, tuple(names)))
        server = Server(app, host, port)

        def told() -> None:
            query = f"?{urlencode({'token': token})}" if token else ""
            shown, bound = server.address
            name = f"[{shown}]" if ":" in shown else shown
            say(f"The store is at http://{name}:{bound}/{query} (Ctrl-C ends this)")
            if opens:
                import webbrowser

                webbrowser.open(f"http://{name}:{bound}/{query}")

        server.when_started = told
        try:
            server.run()
        except SystemExit:
            raise StorageError(
                f"cannot listen on {host}, port {port}: is another server running there? "
                "--port 0 takes any that is free"
            ) from None
        except KeyboardInterrupt:
            pass  # uvicorn ends in order, and then raises what it has caught
        finally:
            engine.close()
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)
    _end(engine)


def _end(engine: Engine) -> None:
    """End the process where an answer goes on: a forecast under way cannot be stopped."""
    until = time.monotonic() + _SECONDS_TO_END
    while engine.under_way:
        if time.monotonic() > until:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)
        time.sleep(0.05)
