"""The server itself: few connections, the silent ones let go first, and an end at Ctrl-C."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from socket import socket
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

#: Connections at a time. A browser has six; each costs a file descriptor.
MOST = 256
_SECONDS_FOR_A_REQUEST = 15.0
_SECONDS_TO_END = 2


class _Protocol(H11Protocol):
    """Closes a connection that sends no request in time, and the longest silent beyond `MOST`.

    uvicorn counts requests; thousands of silent connections would take all file descriptors, and
    if the new ones were refused, nobody else would be let in until the silent ones are due.
    """

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._silence: asyncio.TimerHandle | None = None
        self._expect()
        if len(self.connections) > MOST:
            self._longest_silent()._let_go()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_expecting()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        super().handle_events()
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_expecting()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.transport.is_closing():
            self._expect()

    def _longest_silent(self) -> _Protocol:
        """The connection that has waited longest for a request; at least this one is silent."""
        due: dict[_Protocol, float] = {
            one: one._silence.when()
            for one in self.connections
            if isinstance(one, _Protocol) and one._silence is not None
        }
        return min(due, key=due.__getitem__)

    def _let_go(self) -> None:
        self._stop_expecting()
        self.transport.abort()

    def _expect(self) -> None:
        self._stop_expecting()
        self._silence = self.loop.call_later(_SECONDS_FOR_A_REQUEST, self._let_go)

    def _stop_expecting(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None


class Server(uvicorn.Server):
    """Serves an application on a socket until Ctrl-C or SIGTERM.

    Parameters
    ----------
    app : ASGI application
        What answers.
    host, port : str, int
        Where it listens; port 0 takes any that is free.
    """

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                http=_Protocol,
                ws="none",
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=_SECONDS_TO_END,
                backlog=MOST,
            )
        )

        self.when_started: Callable[[], None] = lambda: None

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Listen, and tell whoever waits for it."""
        await super().startup(sockets)
        if self.started:
            self.when_started()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port on which it listens, once it does."""
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        return str(host), int(port)
