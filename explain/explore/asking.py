"""What an address asks of the store: its parameters, and the answers pages and interface share."""

from __future__ import annotations

from starlette.requests import Request

from explain.explore import facets as facet_counts
from explain.explore import find as finding_of
from explain.explore import maps
from explain.explore.engine import Engine
from explain.explore.find import PAGE, Found
from explain.explore.finding import Finding
from explain.explore.map_colours import Colouring, clusters, colouring
from explain.explore.sessions import Source
from featurestore.errors import InvalidInputError
from featurestore.machine.cache import cache_folder


def given(request: Request, name: str, otherwise: str | None = None) -> str:
    """A parameter of the address.

    Raises
    ------
    InvalidInputError
        If it is missing and has no default.
    """
    value = request.query_params.get(name) or otherwise
    if value is None:
        raise InvalidInputError(f"the address lacks {name!r}")
    return value


def whole(request: Request, name: str, otherwise: int, most: int) -> int:
    """A whole number of the address, from 1 to ``most``; raises as `given`."""
    text = request.query_params.get(name)
    if not text:
        return otherwise
    if not text.isdecimal() or not 1 <= int(text[:12]) <= most:
        raise InvalidInputError(f"{name!r} is a number from 1 to {most:,}, not {text!r}")
    return int(text)


def finding(request: Request) -> Finding:
    """What the address looks for; raises as `Finding.of`."""
    return Finding.of(request.query_params.multi_items())


async def find(engine: Engine, wanted: Finding, first: int | None, most: int) -> Found:
    """What is found, a page of it kept while the store stays; typed conditions are run apart."""
    if wanted.has_sql:
        return await engine.ask_guarded(finding_of.find, wanted, first, most)

    def found(source: Source) -> Found:
        if most > PAGE:
            return finding_of.find(source, wanted, first, most)
        key = ("find", wanted.query(page=wanted.page), first, most)
        return engine.kept(source, key, lambda: finding_of.find(source, wanted, first, most))

    return await engine.ask(found)


async def facets(engine: Engine, wanted: Finding) -> facet_counts.Facets:
    """The facets of a finding, kept while the store stays as it is."""
    if wanted.has_sql:
        return await engine.ask_guarded(facet_counts.facets, wanted)
    key = wanted.query(page=1, sort="", columns=())

    def counted(source: Source) -> facet_counts.Facets:
        return engine.kept(source, ("facets", key), lambda: facet_counts.facets(source, wanted))

    return await engine.ask(counted)


async def map_of(engine: Engine, request: Request) -> tuple[maps.Map, Colouring]:
    """The map that an address asks for; raises as `make_map` and `colouring`."""
    wanted = maps.MapRequest(
        given(request, "encoder"),
        given(request, "method", "pca"),
        request.query_params.get("text") or None,
    )
    colour = given(request, "colour", "crystal_system")
    folder = cache_folder("maps")

    def drawn(source: Source) -> maps.Map:
        return engine.kept(source, ("map", wanted), lambda: maps.make_map(source, wanted, folder))

    def coloured(source: Source, of: maps.Map) -> Colouring:
        def made() -> Colouring:
            if colour == "cluster":
                return clusters(maps.vectors_of(source, wanted)[1])
            return colouring(source, of.material_ids, colour)

        return engine.kept(source, ("colours", wanted, colour), made)

    # Neighbours of all points take minutes; principal components do not.
    made = await (engine.ask if wanted.method == "pca" else engine.ask_long)(drawn)
    return made, await engine.ask(coloured, made)
