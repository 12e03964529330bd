"""The application: addresses, errors, and the checks before them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from explain.explore.api import ENDPOINTS
from explain.explore.engine import BusyError, Engine
from explain.explore.openapi import description
from explain.explore.pages import PAGES, POSTS
from explain.explore.replies import json_reply
from explain.explore.safety import Checks, Guard
from explain.explore.sessions import TooSlowError
from explain.explore.trying import MOST_BYTES
from explain.explore.view import render
from featurestore.errors import (
    FeatureStoreError,
    MissingDataError,
    StorageError,
    StoreNotFoundError,
    UnknownNameError,
)

# What a form adds to its file.
_BESIDE = 2**20
_STATUS = (
    ((UnknownNameError, MissingDataError), 404),
    ((BusyError, TooSlowError, StorageError, StoreNotFoundError), 503),
)

Answer = Callable[[Engine, Request], Awaitable[Response]]


def make_app(engine: Engine, guard: Guard) -> ASGIApp:
    """The whole application over an engine, whose work ends with it.

    Parameters
    ----------
    engine : Engine
        Makes the answers.
    guard : Guard
        Who is let in.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        engine.warm()
        yield
        engine.close()

    app = Starlette(
        routes=[
            Route("/api/openapi.json", _described, methods=["GET"]),
            *(Route(f"/api{one.path}", _route(engine, one.handler)) for one in ENDPOINTS),
            *(Route(path, _route(engine, answer)) for path, answer in PAGES.items()),
            *(
                Route(path, _route(engine, answer), methods=["POST"])
                for path, answer in POSTS.items()
            ),
            Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
        ],
        exception_handlers={
            FeatureStoreError: _refused,
            HTTPException: _refused,
            Exception: _failed,
        },
        lifespan=lifespan,
    )
    return Checks(app, guard, MOST_BYTES + _BESIDE)


def _route(engine: Engine, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    async def reply(request: Request) -> Response:
        return await answer(engine, request)

    return reply


async def _described(request: Request) -> Response:
    return json_reply(description())


async def _refused(request: Request, error: Exception) -> Response:
    """What was asked cannot be answered: why, and what to do."""
    if isinstance(error, HTTPException):
        status, said = error.status_code, str(error.detail)
    else:
        status = next((code for kinds, code in _STATUS if isinstance(error, kinds)), 400)
        said = str(error)
    return _problem(request, status, type(error).__name__, said)


async def _failed(request: Request, error: Exception) -> Response:
    """A fault of our own: the server writes it to its terminal, who asked is not told."""
    return _problem(
        request, 500, "ServerError", "something went wrong; the terminal of the server says what"
    )


def _problem(request: Request, status: int, name: str, said: str) -> Response:
    if request.url.path.startswith("/api/"):
        return json_reply({"error": name, "message": said}, status)
    return HTMLResponse(render("problem.html", status=status, said=said), status)
