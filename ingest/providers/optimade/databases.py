"""From what a user names, a provider, one of its databases or an address, to a database."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.output.terminal import one_line
from ingest.providers.http import PoliteClient
from ingest.providers.optimade.answers import Answer, Meta, ask
from ingest.providers.refusals import ExpiredLinkError, ProviderError

_VERSIONED = re.compile(r"/v\d[\d.]*(?:/.*)?$")
_LEGAL_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")


@dataclass(frozen=True)
class Database:
    """An OPTIMADE database.

    Parameters
    ----------
    url : str
        Its base address, without a version.
    name : str
        What the ids of its materials begin with.
    meta : Meta
        Who provides it, by which program and version of the specification.
    properties : mapping of str to mapping
        What its structures have, as it describes them; empty if it does not.
    """

    url: str
    name: str
    meta: Meta
    properties: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def unit(self, name: str) -> str:
        """The unit that the database states for a property; empty if it states none."""
        unit = self.properties.get(name, {}).get("unit")
        return unit.strip() if isinstance(unit, str) else ""


def find_database(client: PoliteClient, named: str, prefix: str | None = None) -> Database:
    """The database that a user means.

    Parameters
    ----------
    named : str
        A provider (``mp``, ``Materials Project``), one of its databases
        (``alexandria/alexandria-pbe``), or the base address of either.
    prefix : str, optional
        What ids begin with; by default the provider's short name.

    Raises
    ------
    UnknownNameError
        If no provider or database has that name.
    InvalidInputError
        If the provider has several databases and none is named, or ``prefix`` is no name.
    ProviderError
        If it does not answer as version 1 of the specification says.
    """
    if prefix is not None and not _LEGAL_PREFIX.fullmatch(prefix):
        raise InvalidInputError(
            f"ids cannot begin with {prefix!r}; use letters, digits, '.', '_' and '-'"
        )
    if "://" in named:
        parts = urlsplit(named)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise InvalidInputError(f"{named} is no base address of an OPTIMADE server")
        if parts.username or parts.password:
            raise InvalidInputError("an address with a user and password is not asked")
        return _at(client, _base(named), "", "", prefix)
    provider, _, wanted = named.partition("/")
    known = providers()
    short = known.get(_folded(provider))
    if short is None:
        raise UnknownNameError(
            "OPTIMADE provider",
            provider,
            {one for one, _ in known.values()},
            "(or give the base address of a database)",
        )
    name, url = short
    if url is None:
        raise InvalidInputError(f"the provider {name!r} has no OPTIMADE server")
    return _at(client, url.rstrip("/"), name, wanted, prefix)


def providers() -> dict[str, tuple[str, str | None]]:
    """Short name and base address of the registered providers, by each of their names."""
    try:
        listed = resources.files("optimade").joinpath("server", "data", "providers.json")
    except ModuleNotFoundError as error:
        raise InvalidInputError(
            "providers by name need the package optimade: "
            "pip install 'materials-featurestore[optimade]'"
        ) from error
    known: dict[str, tuple[str, str | None]] = {}
    for one in json.loads(listed.read_text("utf-8"))["data"]:
        short, about = one["id"], one["attributes"]
        plain, _, abbreviation = about["name"].partition("(")
        for name in (plain, abbreviation.rstrip(")"), short):
            if name:
                known[_folded(name)] = (short, about["base_url"])
    return known


def _folded(name: str) -> str:
    words = re.findall(r"[a-z0-9]+", name.lower())
    return "".join(words[1:] if words[:1] == ["the"] else words)


def _base(url: str) -> str:
    return _VERSIONED.sub("", url.rstrip("/")).rstrip("/")


def _at(client: PoliteClient, url: str, provider: str, wanted: str, prefix: str | None) -> Database:
    info = _info(client, url)
    if _is_index(info):
        child, url = _child(client, url, provider or info.meta.prefix, wanted)
        info = _info(client, url)
        if _is_index(info):
            raise ProviderError(f"{url} is an index of databases, named by another index")
    else:
        child = ""
        if wanted:
            raise InvalidInputError(f"{provider} is one database; name it without /{wanted}")
    name = prefix or child or provider or info.meta.prefix
    if not _LEGAL_PREFIX.fullmatch(name):
        raise InvalidInputError(
            f"{url} does not say what its provider is called ({name!r}); say what the ids of its "
            "materials begin with (--prefix NAME)"
        )
    return Database(url, name, info.meta, _properties(client, url))


def _info(client: PoliteClient, url: str) -> Answer:
    try:
        return ask(client, f"{url}/v1/info")
    except ExpiredLinkError as error:
        served = _versions(client, url)
        if served and "1" not in served:
            raise ProviderError(
                f"{url} serves version {', '.join(served)} of the OPTIMADE specification; 1 is "
                "read here"
            ) from error
        raise ProviderError(f"{url} is no base address of an OPTIMADE server: {error}") from error


def _versions(client: PoliteClient, url: str) -> list[str]:
    """The major versions that a server lists; none if it lists none."""
    try:
        lines = client.get_text(f"{url}/versions").splitlines()
    except ProviderError:
        return []
    if not lines or lines[0].split(";")[0].strip() != "version":
        return []
    return [line.strip() for line in lines[1:] if line.strip().isdecimal()][:20]


def _attributes(entry: Any) -> Mapping[str, Any]:
    found = entry.get("attributes") if isinstance(entry, dict) else None
    return found if isinstance(found, dict) else {}


def _is_index(info: Answer) -> bool:
    return _attributes(info.data).get("is_index") is True


def _child(client: PoliteClient, url: str, provider: str, wanted: str) -> tuple[str, str]:
    """Name and address of a database of a provider."""
    links = ask(client, f"{url}/v1/links")
    children: dict[str, tuple[str, bool]] = {}
    for entry in links.data if isinstance(links.data, list) else []:
        about = _attributes(entry)
        address = about.get("base_url")
        if isinstance(address, dict):
            address = address.get("href")
        name = entry.get("id") if isinstance(entry, dict) else None
        if about.get("link_type") != "child" or not isinstance(name, str):
            continue
        if isinstance(address, str) and urlsplit(address).scheme in ("http", "https"):
            children[one_line(name)] = (_base(address), about.get("aggregate") in (None, "ok"))
    found = _choice(url, provider, wanted, children)
    begins = found == provider or found.startswith(f"{provider}-")
    alone = len(children) == 1
    return provider if alone else found if begins else f"{provider}-{found}", children[found][0]


def _choice(url: str, provider: str, wanted: str, children: Mapping[str, tuple[str, bool]]) -> str:
    """The one that is wanted, else the only one that is meant to be asked by anybody."""
    if wanted:
        folded = {_folded(name): name for name in children}
        for name in (wanted, f"{provider}-{wanted}"):
            if _folded(name) in folded:
                return folded[_folded(name)]
        raise UnknownNameError(f"database of {provider}", wanted, children)
    usual = [name for name, (_, is_usual) in children.items() if is_usual]
    if len(usual) == 1:
        return usual[0]
    if not children:
        raise ProviderError(f"{url} lists no database of {provider}")
    listed = ", ".join(f"{provider}/{name}" for name in sorted(children))
    raise InvalidInputError(f"{provider} has several databases; name one of {listed}")


def _properties(client: PoliteClient, url: str) -> dict[str, Mapping[str, Any]]:
    try:
        described = ask(client, f"{url}/v1/info/structures").data
    except ExpiredLinkError:
        return {}
    found = described.get("properties") if isinstance(described, dict) else None
    if not isinstance(found, dict):
        return {}
    return {name: one for name, one in found.items() if isinstance(one, dict)}
