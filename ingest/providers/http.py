"""A polite HTTP client for strangers' JSON: it waits, tries again, and reads within limits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from featurestore.errors import InvalidInputError
from featurestore.output.terminal import one_line
from ingest.providers.refusals import ExpiredLinkError, ProviderError
from ingest.structures.readers.base import parse_json
from ingest.structures.refusals import UnreadableFileError

if TYPE_CHECKING:
    import httpx2

#: Bytes of one answer, unpacked: a page of a thousand large cells has some ten million.
LARGEST_ANSWER = 64 << 20
#: Seconds between requests, unless the provider asks for more.
PAUSE = 0.5

_LONGEST_WAIT = 120.0  # seconds that are waited because a server asks for it
_TRIES = 5
_REDIRECTS = 5
_BACKOFF = 1.0  # seconds, doubled each time
_AGAIN = {408, 425, 429, 500, 502, 503, 504}
_REDIRECTING = {301, 302, 303, 307, 308}
_PORTS = {"http": 80, "https": 443}
_SHOWN = 300  # characters of an answer in a message


@dataclass(frozen=True)
class Times:
    """How long things may take, in seconds.

    Parameters
    ----------
    connect, read : float
        Until a connection stands, and between two pieces of an answer.
    answer : float
        A whole answer: a server that sends a byte now and then does not hold a run for ever.
    """

    connect: float = 15.0
    read: float = 60.0
    answer: float = 300.0


@dataclass
class PoliteClient:
    """Asks one server after another for JSON, one request at a time.

    Parameters
    ----------
    pause : float
        Seconds from the end of one request to the next.
    times : Times
    largest : int
        Most bytes of an answer, unpacked.

    Raises
    ------
    InvalidInputError
        If httpx2 is not installed.
    """

    pause: float = PAUSE
    times: Times = field(default_factory=Times)
    largest: int = LARGEST_ANSWER
    _client: Any = field(init=False, repr=False)
    _last: float | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        try:
            import httpx2
        except ImportError as error:
            raise InvalidInputError(
                "asking a provider needs the package httpx2: "
                "pip install 'materials-featurestore[optimade]'"
            ) from error
        self._client = httpx2.Client(
            headers={"User-Agent": user_agent(), "Accept-Encoding": "gzip, deflate"},
            timeout=httpx2.Timeout(self.times.read, connect=self.times.connect),
            follow_redirects=False,
        )

    def __enter__(self) -> PoliteClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def wait(self, seconds: float) -> None:
        """Do nothing for a while."""
        time.sleep(seconds)

    def get_json(self, url: str) -> Any:
        """The plain data of the JSON at an address.

        Too many requests, a server that is down for a moment, a connection that breaks and an
        answer that was cut off are tried again, after the time that the server names or a doubling
        one.

        Raises
        ------
        ExpiredLinkError
            If the server refuses the request as such (4xx).
        ProviderError
            If it does not answer, sends no JSON, more than ``largest`` bytes or not in time, asks
            for more than two minutes of patience, or leads to another server.
        """
        text = self.get_text(url, _is_cut)
        try:
            return parse_json(text)
        except UnreadableFileError as error:
            raise ProviderError(
                f"{shown(url)} answers no JSON ({error}): {_excerpt(text)}"
            ) from error

    def get_text(self, url: str, is_cut: Callable[[str], bool] = lambda text: False) -> str:
        """The text at an address; one that ``is_cut`` is asked for again. Raises as `get_json`."""
        for attempt in range(1, _TRIES + 1):
            wait, reason = _BACKOFF * 2 ** (attempt - 1), ""
            try:
                answer = self._followed(url)
            except _BrokenOffError as error:
                reason = str(error)
            else:
                if answer.status == 200:
                    if not is_cut(answer.text):
                        return answer.text
                    reason = "its answer is cut off"
                elif answer.status not in _AGAIN:
                    raise _refusal(url, answer)
                else:
                    reason = f"status {answer.status}"
                    wait = max(wait if answer.wait is None else 0.0, answer.wait or 0.0)
            if wait > _LONGEST_WAIT:
                raise ProviderError(
                    f"{shown(url)} asks to be left alone for {wait:,.0f} s ({reason}); run the "
                    "same command after that time"
                )
            if attempt < _TRIES:
                self.wait(wait)
        raise ProviderError(
            f"{shown(url)} failed {_TRIES} times, at last with: {reason}; run the same command "
            "later"
        )

    def _followed(self, url: str) -> _Answer:
        """The answer behind redirections, which must stay on the server."""
        for _ in range(_REDIRECTS + 1):
            answer = self._asked(url)
            if answer.status not in _REDIRECTING:
                return answer
            target = urljoin(url, answer.location)
            if not same_server(url, target):
                raise ProviderError(
                    f"{shown(url)} leads to another server, {shown(target)}; if you trust "
                    "it, give that address instead"
                )
            url = target
        raise ProviderError(f"{shown(url)} leads from one address to the next for ever")

    def _asked(self, url: str) -> _Answer:
        if self._last is not None:
            left = self._last + self.pause - time.monotonic()
            if left > 0:
                self.wait(left)
        try:
            with _transport_errors(url), self._client.stream("GET", url) as response:
                return _Answer(
                    status=response.status_code,
                    text=self._read(url, response),
                    location=response.headers.get("Location", ""),
                    wait=_seconds(response.headers.get("Retry-After", "")),
                )
        finally:
            self._last = time.monotonic()

    def _read(self, url: str, response: httpx2.Response) -> str:
        parts: list[bytes] = []
        size, end = 0, time.monotonic() + self.times.answer
        for part in response.iter_bytes():
            size += len(part)
            if size > self.largest:
                raise ProviderError(
                    f"{shown(url)} sends more than {self.largest:,} bytes; ask for smaller pages "
                    "(--page-limit)"
                )
            if time.monotonic() > end:
                raise _BrokenOffError(f"its answer takes more than {self.times.answer:g} s")
            parts.append(part)
        return b"".join(parts).decode("utf-8", "replace")


@dataclass(frozen=True)
class _Answer:
    status: int
    text: str
    location: str
    wait: float | None


class _BrokenOffError(Exception):
    """An answer that did not come to its end; another try may."""


def shown(url: str) -> str:
    """An address for a message: its query, which may be thousands of characters, is cut."""
    address, mark, query = one_line(url).partition("?")
    return f"{address[:_SHOWN]}{mark}{query[:40]}{'…' if len(query) > 40 else ''}"


def user_agent() -> str:
    """How this program names itself to servers."""
    return f"materials-featurestore/{metadata.version('materials-featurestore')}"


def same_server(one: str, other: str) -> bool:
    """Whether two addresses are of one server; plain HTTP may turn into HTTPS, never back."""
    first, second = urlsplit(one), urlsplit(other)
    if first.hostname is None or first.hostname != second.hostname:
        return False
    ports = tuple(parts.port or _PORTS.get(parts.scheme) for parts in (first, second))
    if first.scheme == second.scheme:
        return ports[0] == ports[1]
    return (first.scheme, second.scheme) == ("http", "https") and ports == (80, 443)


@contextmanager
def _transport_errors(url: str) -> Iterator[None]:
    import httpx2

    try:
        yield
    except httpx2.InvalidURL as error:
        raise ProviderError(f"{shown(url)} is no address: {error}") from error
    except httpx2.UnsupportedProtocol as error:
        raise ProviderError(f"{shown(url)} is no address of a server") from error
    except httpx2.DecodingError as error:
        raise _BrokenOffError(f"its compression is damaged ({error})") from error
    except httpx2.TimeoutException as error:
        raise _BrokenOffError("it does not answer in time") from error
    except httpx2.TransportError as error:
        raise _BrokenOffError(f"{type(error).__name__}: {error}") from error


def _refusal(url: str, answer: _Answer) -> ProviderError:
    said = _said(answer.text) or _excerpt(answer.text)
    kind = ExpiredLinkError if 400 <= answer.status < 500 else ProviderError
    return kind(f"{shown(url)} answers with status {answer.status}: {said}")


def _said(text: str) -> str:
    """The errors of a JSON:API answer, in words; empty if it lists none."""
    try:
        document = parse_json(text)
    except UnreadableFileError:
        return ""
    return said_errors(document)


def said_errors(document: Any) -> str:
    """The errors of an answer in the form of JSON:API, in words; empty if it lists none."""
    errors = document.get("errors") if isinstance(document, Mapping) else None
    details = [
        str(one.get("detail") or one.get("title") or "")
        for one in (errors if isinstance(errors, list) else ())
        if isinstance(one, Mapping)
    ]
    return one_line("; ".join(filter(None, details)))[:_SHOWN]


def _excerpt(text: str) -> str:
    if text.lstrip()[:200].lower().startswith(("<!doctype html", "<html")):
        return "it sends a page for people (HTML)"
    return f"it sends {one_line(text.strip()[:_SHOWN])!r}" if text.strip() else "it sends nothing"


def _is_cut(text: str) -> bool:
    """Whether a JSON text begins like one and does not end."""
    beginning, end = text.lstrip()[:1], text.rstrip()[-1:]
    return not beginning or (beginning == "{" and end != "}") or (beginning == "[" and end != "]")


def _seconds(header: str) -> float | None:
    """Of a Retry-After header, which is a number of seconds or a date."""
    text = header.strip()
    if not text:
        return None
    if text.isdecimal():
        return float(text[:9])
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())
