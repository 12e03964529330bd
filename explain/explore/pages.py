"""The pages: each has an address, and says what the HTTP interface says."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from explain.explore import (
    api,
    asking,
    lineage_picture,
    map_colours,
    material,
    models,
    neighbours,
    overview,
    sql,
    store_pages,
    trying,
)
from explain.explore.elements import GRID
from explain.explore.engine import Engine, RefusedError
from explain.explore.facets import SYSTEMS, Facets, stored_properties
from explain.explore.find import PAGE, Found
from explain.explore.finding import COLUMNS, OTHER_COLUMNS, READINGS
from explain.explore.page import Page, page
from explain.explore.sessions import Source
from explain.explore.view import render
from featurestore.catalogue import encoders, generators
from featurestore.errors import FeatureStoreError, InvalidInputError
from featurestore.output.structure_picture import structure_svg
from featurestore.search.projection import usable_methods


async def _find(engine: Engine, request: Request) -> Response:
    problem, found, counts = "", None, None
    wanted = asking.finding(request)
    try:
        found, counts = await asyncio.gather(
            asking.find(engine, wanted, None, PAGE), asking.facets(engine, wanted)
        )
    except (FeatureStoreError, RefusedError) as error:
        problem = str(error)
    properties = counts.properties if counts else await engine.ask(_properties)
    return await page(
        engine,
        request,
        "find.html",
        finding=wanted,
        found=found,
        facets=counts,
        bars=_bars(counts),
        problem=problem,
        properties=properties,
        readings=READINGS,
        grid=GRID,
        systems=SYSTEMS,
        columns=(*COLUMNS, *OTHER_COLUMNS),
        pages=0 if found is None else -(-found.total // PAGE),
        first=(wanted.page - 1) * PAGE,
        alone=_alone(found),
    )


def _properties(source: Source) -> Any:
    return stored_properties(source.session)


def _alone(found: Found | None) -> str | None:
    """The material that was meant, where an id was typed in full."""
    if found is None or found.reading.kind != "id" or found.rows.num_rows != 1:
        return None
    return str(found.rows["material_id"][0].as_py())


def _bars(counts: Facets | None) -> list[dict[str, Any]]:
    """The bars of the histogram, in the units of its drawing."""
    shown = counts.histogram if counts else None
    if shown is None or not shown.counts or not shown.edges:
        return []
    most, width = max(shown.counts) or 1, 300 / len(shown.counts)
    return [
        {
            "x": round(i * width, 2),
            "width": round(width - 1, 2),
            "height": round(72 * n / most, 1) if n else 0,
            "n": n,
            "low": shown.edges[i],
            "high": shown.edges[i + 1],
        }
        for i, n in enumerate(shown.counts)
    ]


async def _material(engine: Engine, request: Request) -> Response:
    material_id = asking.given(request, "id")
    found = await engine.ask(material.material, material_id)
    spaces = await engine.ask(lambda source: neighbours.spaces(source.session))
    return await page(
        engine,
        request,
        "material.html",
        material=found,
        spaces=spaces,
        picture=lineage_picture.picture(found),
        tags=_tags(found),
    )


def _tags(found: material.Material) -> dict[str, int]:
    """A number for each tag of the texts: its colour."""
    names = dict.fromkeys(s.tag for text in found.texts for s in text.description.sentences)
    return {name: i % 8 for i, name in enumerate(names)}


async def _neighbours(engine: Engine, request: Request) -> Response:
    """A part of the page on a material, brought after the rest: vectors may have to be read."""
    material_id, encoder = asking.given(request, "id"), asking.given(request, "encoder")

    def near(source: Source) -> neighbours.Near:
        kinds = dict(neighbours.spaces(source.session))
        if encoder not in kinds:
            raise InvalidInputError(f"the store has no encoder {encoder!r}")
        return neighbours.neighbours(source, material_id, encoder, kinds[encoder])

    return HTMLResponse(render("neighbours.html", near=await engine.ask(near)))


async def _map(engine: Engine, request: Request) -> Response:
    def known(source: Source) -> dict[str, Any]:
        session = source.session
        return {
            "encoders": encoders(session),
            "generators": generators(session),
            "colours": map_colours.colours(session),
        }

    found = await engine.ask(known)
    return await page(
        engine, request, "map.html", **found, methods=usable_methods(), query=request.query_params
    )


async def _models(engine: Engine, request: Request) -> Response:
    boards, warnings = await engine.ask(models.leaderboards)
    chosen = request.query_params.get("property")
    if chosen:
        boards = tuple(board for board in boards if board.property == chosen)
    return await page(
        engine, request, "models.html", boards=boards, comparing=warnings, chosen=chosen
    )


async def _model(engine: Engine, request: Request) -> Response:
    name = asking.given(request, "id")

    def made(source: Source) -> models.ModelPage:
        return engine.kept(source, ("model", name), lambda: models.model_page(source, name))

    return await page(engine, request, "model.html", model=await engine.ask(made))


async def _model_lineage(engine: Engine, request: Request) -> Response:
    found = await overview.model_lineage_of(engine, asking.given(request, "id"))
    return await page(engine, request, "lineage.html", node=found)


async def _compare(engine: Engine, request: Request) -> Response:
    a, b = request.query_params.get("a"), request.query_params.get("b")
    boards, _ = await engine.ask(models.leaderboards)
    found, problem = None, ""
    if a and b:
        try:
            found = await engine.ask(models.compared, a, b)
        except FeatureStoreError as error:
            problem = str(error)
    return await page(
        engine, request, "compare.html", boards=boards, a=a, b=b, found=found, problem=problem
    )


async def _try(engine: Engine, request: Request) -> Response:
    return await _try_page(engine, request, model=request.query_params.get("model", ""))


async def _try_page(engine: Engine, request: Request, **found: Any) -> Response:
    """The form, with the models that may be chosen, and what has come of a file."""

    def boards(source: Source) -> Any:
        return engine.kept(source, ("boards",), lambda: models.leaderboards(source))[0]

    values = {"tried": None, "problem": "", "drawing": "", "model": ""} | found
    return await page(engine, request, "try.html", boards=await engine.ask(boards), **values)


async def _tried(engine: Engine, request: Request) -> Response:
    if engine.at is not None:
        raise InvalidInputError("of a snapshot nothing is predicted: leave out --at")
    problem, tried, drawing, model = "", None, "", ""
    try:
        async with request.form(max_files=1, max_fields=4, max_part_size=trying.MOST_BYTES) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile) or not file.filename:
                raise InvalidInputError("choose a CIF or POSCAR file first")
            content = await file.read()
            why, model = form.get("why") == "on", str(form.get("model") or "")
        tried = await engine.ask_long(trying.try_file, file.filename, content, why, model)
        drawing = structure_svg(tried.crystal)
    except FeatureStoreError as error:
        problem = str(error)
    return await _try_page(
        engine, request, tried=tried, problem=problem, drawing=drawing, model=model
    )


async def _sql(engine: Engine, request: Request) -> Response:
    query = request.query_params.get("q", "")
    explain = request.query_params.get("explain") == "1"
    result, plan, problem = None, "", ""
    try:
        if query.strip() and explain:
            plan = await engine.ask_guarded(sql.plan, query)
        elif query.strip():
            result = await engine.ask_guarded(sql.run, query)
    except (FeatureStoreError, RefusedError) as error:
        problem = str(error)
    return await page(
        engine,
        request,
        "sql.html",
        query=query,
        result=result,
        plan=plan,
        problem=problem,
        most=sql.SHOWN,
    )


async def _api(engine: Engine, request: Request) -> Response:
    return await page(engine, request, "api.html", endpoints=api.ENDPOINTS)


PAGES: dict[str, Page] = {
    "/": _find,
    "/material": _material,
    "/material/neighbours": _neighbours,
    "/map": _map,
    "/models": _models,
    "/model": _model,
    "/model/lineage": _model_lineage,
    "/compare": _compare,
    "/try": _try,
    "/sql": _sql,
    "/store": store_pages.glance,
    "/api": _api,
    **{f"/store/{name}": store_pages.table_page(name) for name in overview.TABLES},
}
POSTS: dict[str, Page] = {"/try": _tried}
