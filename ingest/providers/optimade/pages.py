"""The pages of an answer, one after the other, from the first or from where a run stopped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from featurestore.errors import InvalidInputError
from ingest.providers.http import PoliteClient, shown
from ingest.providers.optimade.answers import Answer, Meta, ask
from ingest.providers.optimade.databases import Database
from ingest.providers.refusals import ExpiredLinkError, ProviderError
from ingest.structures.readers.optimade_form import FIELDS

_EMPTY_PAGES = 3
_LATER_FIELDS = ("space_group_it_number",)  # of 1.2: asked for where the database has it


@dataclass(frozen=True)
class Place:
    """Where in the pages of an answer a run is.

    Parameters
    ----------
    url : str
        The address of a page.
    entries : int
        How many entries are on the pages before it.
    """

    url: str
    entries: int = 0


@dataclass(frozen=True)
class Page:
    """A page.

    Parameters
    ----------
    place : Place
    entries : list
        Its entries as plain data, unchecked.
    meta : Meta
    following : Place, optional
        The next page; None on the last.
    """

    place: Place
    entries: list[Any]
    meta: Meta
    following: Place | None


def first_place(
    database: Database, condition: str, columns: Sequence[str], page_limit: int | None
) -> Place:
    """The first page of the structures for which a condition holds, with what is read of them."""
    described = database.properties
    fields = [
        name
        for name in FIELDS
        if name in described or (not described and name not in _LATER_FIELDS)
    ]
    parameters = {"filter": condition} if condition else {}
    parameters["response_fields"] = ",".join(["id", "type", *fields, *columns])
    if page_limit is not None:
        parameters["page_limit"] = str(page_limit)
    query = urlencode(parameters, quote_via=quote, safe=",")
    return Place(f"{database.url}/v1/structures?{query}")


def check_filter(condition: str) -> None:
    """Raise unless a condition keeps the grammar of OPTIMADE filters.

    Raises
    ------
    InvalidInputError
        If it does not; or if the package optimade, which knows the grammar, is not installed.
    """
    try:
        from optimade.exceptions import BadRequest
        from optimade.filterparser import LarkParser
    except ImportError as error:
        raise InvalidInputError(
            "a filter needs the package optimade: pip install 'materials-featurestore[optimade]'"
        ) from error
    try:
        LarkParser().parse(condition)
    except BadRequest as error:
        raise InvalidInputError(
            f"{condition!r} is no OPTIMADE filter: {_reason(error.detail or str(error))}; for "
            "example 'elements HAS \"Te\" AND nelements=2'"
        ) from error


def _reason(text: str) -> str:
    """What lark says, without the stack of its grammar's terminals."""
    return " ".join(text.partition("Lark traceback:")[2].partition("\n\n")[0].split()) or text


def pages(client: PoliteClient, start: Place, *, fewer: Place | None = None) -> Iterator[Page]:
    """The pages from a place on.

    Parameters
    ----------
    start : Place
    fewer : Place, optional
        The same without a wish for the size of pages, which a server may refuse.

    Raises
    ------
    ExpiredLinkError
        If the server does not understand the first address.
    ProviderError
        As `ask`; if pages repeat, are empty without end, or stop although more is announced.
    """
    place: Place | None = start
    been, seen, empty = set[str](), set[str](), 0
    while place is not None:
        been.add(place.url)
        answer = _asked(client, place, start, fewer)
        entries = answer.data
        if not isinstance(entries, list):
            raise ProviderError(
                f"{shown(place.url)} is no page of structures: its 'data' is no list"
            )
        ids = {str(one.get("id")) for one in entries if isinstance(one, dict)}
        if ids and ids <= seen:
            raise ProviderError(
                f"{shown(place.url)} repeats entries of earlier pages: its pages turn round"
            )
        seen |= ids
        empty = 0 if entries else empty + 1
        if empty > _EMPTY_PAGES:
            raise ProviderError(
                f"{shown(place.url)}: {empty} empty pages in turn, and always another"
            )
        following = (
            None
            if answer.following is None
            else Place(answer.following, place.entries + len(entries))
        )
        if following is not None and following.url in been:
            raise ProviderError(
                f"{shown(place.url)} names as the next page one that was there before: its pages "
                "turn round"
            )
        yield Page(place, entries, answer.meta, following)
        if following is None and answer.meta.more:
            raise ProviderError(
                f"{shown(place.url)} says that there is more, and does not say where: what came is "
                "stored and is not the whole answer"
            )
        if answer.meta.delay and following is not None:
            client.wait(answer.meta.delay)
        place = following


def _asked(client: PoliteClient, place: Place, start: Place, fewer: Place | None) -> Answer:
    try:
        return ask(client, place.url)
    except ExpiredLinkError:
        if place is not start or fewer is None:
            raise
        return ask(client, fewer.url)
