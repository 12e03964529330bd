"""What stands on every page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from explain.explore import overview
from explain.explore.engine import Engine
from explain.explore.sessions import Source
from explain.explore.view import render

Page = Callable[[Engine, Request], Awaitable[Response]]


async def page(engine: Engine, request: Request, template: str, **values: Any) -> Response:
    """A page with what stands on every one."""

    def around(source: Source) -> dict[str, Any]:
        return {"warnings": engine.kept(source, ("warnings",), lambda: overview.warnings(source))}

    shared = await engine.ask(around)
    text = render(template, uri=engine.uri, at=engine.at, path=request.url.path, **shared, **values)
    return HTMLResponse(text)
