"""Who may ask what: the checks that every request passes before anything else looks at it.

The server is for one person, or for those who have its token. A page of another site that the same
browser shows may not use it: not by a name that it lets point here (DNS rebinding), not by a form
or script of its own (cross-site requests), not by a text of a stranger's store that would be run as
a script (content security policy).
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import socket
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "featurestore_token"
_METHODS = ("GET", "HEAD", "POST")
_WEEK = 7 * 24 * 3600
# A client that sends nothing of what it has announced is given up.
_SECONDS_FOR_A_PART = 20.0

_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


def is_loopback(host: str) -> bool:
    """Whether an address or name is this machine's own, which no other machine can reach."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Guard:
    """What is let in.

    Parameters
    ----------
    host : str
        Where the server listens.
    token : str or None
        What every request must carry; None: nothing.
    names : tuple of str
        Names, beside addresses, by which the server may be called.
    """

    host: str = "127.0.0.1"
    token: str | None = None
    names: tuple[str, ...] = ()

    def knows(self, host: str) -> bool:
        """Whether a Host header names this server.

        A number cannot be made to point elsewhere; a name can, so only our own are taken.
        """
        name = urlsplit(f"//{host}").hostname or ""
        try:
            ipaddress.ip_address(name)
            return True
        except ValueError:
            pass
        known = {"localhost", self.host.lower(), *(one.lower() for one in self.names)}
        if not is_loopback(self.host):
            known.add(socket.gethostname().lower())
        return name in known


class Checks:
    """The middleware; see the module.

    Parameters
    ----------
    app : ASGI application
        What answers those that pass.
    guard : Guard
        What is let in.
    most_bytes : int
        Of a request's body.
    """

    def __init__(self, app: ASGIApp, guard: Guard, most_bytes: int) -> None:
        self._app, self._guard, self._most = app, guard, most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # nothing here speaks another protocol
        sending = _with_headers(send)
        answer = self._refusal(scope) or self._without_token(scope)
        if answer is None:
            body = _Body(receive, self._most)
            try:
                await self._app(scope, body, body.answering(sending))
            except ClientDisconnect:
                if not body.is_over:
                    raise
            except asyncio.CancelledError:
                # The server ends; that an answer was under way is no fault of the application's.
                return
        else:
            await answer(scope, receive, sending)

    def _refusal(self, scope: Scope) -> Response | None:
        headers, method = Headers(scope=scope), scope["method"]
        host = headers.get("host", "")
        if not self._guard.knows(host):
            return _refused(
                421, f"this server does not go by the name {host!r}; --allow-host lets it"
            )
        if method not in _METHODS:
            return _refused(405, f"the store is only read: {method} is refused")
        site, mode = headers.get("sec-fetch-site"), headers.get("sec-fetch-mode")
        crossing = site in ("cross-site", "same-site")
        origin = headers.get("origin")
        foreign = origin is not None and urlsplit(origin).netloc != host
        if method == "POST" and (crossing or foreign):
            return _refused(403, "this request comes from a page of another site")
        # A link from elsewhere may open a page, but no other page may use what is here.
        if crossing and mode != "navigate":
            return _refused(403, "this request comes from a page of another site")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._most:
            return _too_large(self._most)
        return None

    def _without_token(self, scope: Scope) -> Response | None:
        """Refuse who has no token; who brings it in the address gets it as a cookie."""
        wanted = self._guard.token
        if wanted is None:
            return None
        headers = Headers(scope=scope)
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = dict(pairs).get("token")
        if given is not None and scope["method"] == "GET" and _same(given, wanted):
            rest = urlencode([(name, value) for name, value in pairs if name != "token"])
            path = scope["path"] if scope["path"].startswith("/") else "/"
            # Two slashes at the start would be another server's name.
            response = RedirectResponse("/" + path.lstrip("/") + (f"?{rest}" if rest else ""), 303)
            response.set_cookie(COOKIE, wanted, max_age=_WEEK, httponly=True, samesite="lax")
            return response
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _same(bearer.strip(), wanted):
            return None
        if _same(_cookie(headers.get("cookie", "")), wanted):
            return None
        return _refused(
            401,
            "this server asks for its token: open the address that 'featurestore explore' has "
            "printed, or send the header 'Authorization: Bearer TOKEN'",
        )


class _Body:
    """A request's body, counted as it comes: a length may be missing or wrong."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive, self._most = receive, most
        self._read = 0
        self._whole = False
        self.is_over = False

    async def __call__(self) -> Message:
        if self._whole:
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), _SECONDS_FOR_A_PART)
        except TimeoutError:
            return {"type": "http.disconnect"}
        if message["type"] == "http.request":
            self._whole = not message.get("more_body", False)
            self._read += len(message.get("body", b""))
            if self._read > self._most:
                self.is_over = True
                # The application sees a client that has gone, and stops reading.
                return {"type": "http.disconnect"}
        return message

    def answering(self, send: Send) -> Send:
        """What sends the application's answer, or says that the body was too large."""
        sent = False

        async def answer(message: Message) -> None:
            nonlocal sent
            if not self.is_over:
                await send(message)
            elif not sent:
                sent = True
                await _too_large(self._most)({"type": "http"}, self._receive, send)

        return answer


def _with_headers(send: Send) -> Send:
    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
            headers.setdefault("cache-control", "no-cache")
        await send(message)

    return answer


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None else ""


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8"), wanted.encode("utf-8"))


def _refused(status: int, why: str) -> Response:
    return PlainTextResponse(why + "\n", status)


def _too_large(most: int) -> Response:
    response = _refused(413, f"a request may be at most {most / 2**20:g} MB large")
    response.headers["connection"] = "close"
    return response
