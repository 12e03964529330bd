"""What every answer of an OPTIMADE server has: a version, who gives it, a link to the next."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

from featurestore.output.terminal import one_line
from ingest.providers.http import PoliteClient, said_errors, same_server, shown
from ingest.providers.refusals import ProviderError

_VERSION = re.compile(r"v?(\d{1,4})(?:\.\d{1,4}){0,2}(?:[-+~.\w]{0,40})?$")
_MAJOR = 1
_LONGEST_URL = 8000
_SHOWN = 200


@dataclass(frozen=True)
class Meta:
    """What an answer says about itself.

    Parameters
    ----------
    api_version : str
        Of the specification; empty if it does not say.
    prefix, provider : str
        Of the provider, short and in words; empty if it does not say.
    implementation : str
        Name and version of the server's program; empty if it does not say.
    more : bool, optional
        Whether there is more than this answer.
    matches : int, optional
        Entries that fit the filter.
    delay : float
        Seconds that it asks for before the next request.
    """

    api_version: str
    prefix: str
    provider: str
    implementation: str
    more: bool | None
    matches: int | None
    delay: float


@dataclass(frozen=True)
class Answer:
    """A checked answer.

    Parameters
    ----------
    url : str
    data : object
        The plain data under ``data``.
    meta : Meta
    following : str, optional
        The address of the next page.
    """

    url: str
    data: Any
    meta: Meta
    following: str | None


def ask(client: PoliteClient, url: str) -> Answer:
    """The answer at an address.

    Raises
    ------
    ProviderError
        As `PoliteClient.get_json`; if it is no answer of version 1 of the specification, or links
        to another server.
    """
    document = client.get_json(url)
    if not isinstance(document, dict) or "data" not in document:
        said = said_errors(document)
        raise ProviderError(
            f"{shown(url)} is no OPTIMADE answer: "
            + (f"it has no data and says {said!r}" if said else "it has no 'data'")
        )
    meta = document.get("meta")
    read = _meta(url, meta if isinstance(meta, dict) else {})
    return Answer(url, document["data"], read, _following(url, document.get("links")))


def _meta(url: str, meta: Mapping[str, Any]) -> Meta:
    version = _word(meta.get("api_version"))
    match = _VERSION.fullmatch(version)
    if version and (match is None or int(match[1]) != _MAJOR):
        raise ProviderError(
            f"{shown(url)} speaks version {version} of the OPTIMADE specification; {_MAJOR}.x is "
            "read here"
        )
    provider, program = meta.get("provider"), meta.get("implementation")
    provider = provider if isinstance(provider, dict) else {}
    program = program if isinstance(program, dict) else {}
    delay, matches = meta.get("request_delay"), meta.get("data_returned")
    more = meta.get("more_data_available")
    return Meta(
        api_version=version,
        prefix=_word(provider.get("prefix")),
        provider=_word(provider.get("name")),
        implementation=" ".join(
            filter(None, (_word(program.get("name")), _word(program.get("version"))))
        ),
        more=more if isinstance(more, bool) else None,
        matches=matches if type(matches) is int and matches >= 0 else None,
        delay=min(float(delay), 60.0) if isinstance(delay, int | float) and delay > 0 else 0.0,
    )


def _word(value: Any) -> str:
    return one_line(value.strip())[:_SHOWN] if isinstance(value, str) else ""


def _following(url: str, links: Any) -> str | None:
    """Of ``links``: an address, an object that holds one, or nothing."""
    given = links.get("next") if isinstance(links, dict) else None
    if isinstance(given, dict):
        given = given.get("href")
    if given is None or given == "":
        return None
    if not isinstance(given, str) or len(given) > _LONGEST_URL:
        raise ProviderError(f"{shown(url)} has a link to the next page that is no address")
    target = urljoin(url, given)
    here, there = urlsplit(url), urlsplit(target)
    # behind a proxy that takes HTTPS off, a server writes its own addresses with http
    if (here.scheme, there.scheme) == ("https", "http") and here.netloc == there.netloc:
        target = urlunsplit(there._replace(scheme="https"))
    if not same_server(url, target):
        raise ProviderError(
            f"{shown(url)} names the next page on another server, {shown(target)}: not followed"
        )
    return target
