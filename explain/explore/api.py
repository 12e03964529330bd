"""The HTTP interface: what pages are made of, as JSON, Arrow, CSV and Parquet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from starlette.requests import Request
from starlette.responses import Response

from explain.explore import facets as facet_counts
from explain.explore import find as finding_of
from explain.explore import maps, material, models, overview, sql
from explain.explore.cell import scene, svg
from explain.explore.engine import Engine
from explain.explore.find import PAGE, Finding, Found
from explain.explore.replies import json_reply, table_reply, wanted_format
from explain.explore.sessions import Source
from featurestore.errors import InvalidInputError
from featurestore.history.lineage_output import as_json
from featurestore.machine.cache import cache_folder
from featurestore.output.structure_files import as_cif, as_poscar
from featurestore.query.paging import rows_of_materials

Handler = Callable[[Engine, Request], Awaitable[Response]]

_MOST_IDS = 200


@dataclass(frozen=True)
class Parameter:
    """A parameter of an address; ``schema`` is JSON Schema."""

    name: str
    description: str
    schema: dict[str, Any] = field(default_factory=lambda: {"type": "string"})
    required: bool = False


@dataclass(frozen=True)
class Endpoint:
    """An address of the interface.

    Parameters
    ----------
    path : str
        Below ``/api``.
    summary : str
        What it answers with.
    handler : callable
        Makes the answer.
    parameters : tuple of Parameter
        What it takes.
    tabular : bool
        Whether the answer comes in every format of `replies.MEDIA_TYPES`.
    media : str
        What it is otherwise.
    """

    path: str
    summary: str
    handler: Handler
    parameters: tuple[Parameter, ...] = ()
    tabular: bool = False
    media: str = "application/json"


_MANY = {"type": "array", "items": {"type": "string"}}
_WHOLE = {"type": "integer", "minimum": 1}
ID = Parameter("id", "Id of the material.", required=True)
MODEL = Parameter("id", "Id of the model, or its beginning.", required=True)
FINDING = (
    Parameter("q", "An id, formula, elements, words or SQL condition."),
    Parameter("as", "How q is read.", {"type": "string", "enum": list(finding_of.READINGS)}),
    Parameter("text", "Text source in which words are looked for."),
    Parameter("system", "Crystal system; repeatable.", _MANY),
    Parameter("element", "Element that takes part; repeatable.", _MANY),
    Parameter("without", "Element that takes no part; repeatable.", _MANY),
    Parameter("range", "PROPERTY:LEAST:GREATEST, either end may be empty; repeatable.", _MANY),
    Parameter("class", "PROPERTY:CLASS; repeatable.", _MANY),
)


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
    """What is found; a condition that somebody typed is run apart."""
    ask = engine.ask_guarded if wanted.has_sql else engine.ask
    return await ask(finding_of.find, wanted, first, most)


async def facets(engine: Engine, wanted: Finding) -> facet_counts.Facets:
    """The facets of a finding, kept while the store stays as it is."""
    if wanted.has_sql:
        return await engine.ask_guarded(facet_counts.facets, wanted)
    key = wanted.query(page=1, sort="", columns=())

    def counted(source: Source) -> facet_counts.Facets:
        return engine.kept(source, ("facets", key), lambda: facet_counts.facets(source, wanted))

    return await engine.ask(counted)


async def map_of(engine: Engine, request: Request) -> tuple[maps.Map, maps.Colouring]:
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

    def coloured(source: Source, of: maps.Map) -> maps.Colouring:
        return engine.kept(
            source, ("colours", wanted, colour), lambda: maps.colouring(source, of, colour)
        )

    # Neighbours of all points take minutes; principal components do not.
    made = await (engine.ask if wanted.method == "pca" else engine.ask_long)(drawn)
    return made, await engine.ask(coloured, made)


async def _store(engine: Engine, request: Request) -> Response:
    return json_reply(await engine.ask(overview.glance))


async def _find(engine: Engine, request: Request) -> Response:
    wanted, output = finding(request), wanted_format(request)
    most = engine.limits.rows if output != "json" else PAGE
    most = whole(request, "most", most, engine.limits.rows)
    first = None if output == "json" else 0
    found = await find(engine, wanted, first, most)
    beside = {
        "total": found.total,
        "page": wanted.page,
        "read_as": found.reading.kind,
        "condition": found.asked,
        "notes": found.notes,
    }
    return table_reply(found.rows, output, "materials", beside)


async def _facets(engine: Engine, request: Request) -> Response:
    found = await facets(engine, finding(request))
    shown = found.histogram
    histogram = None
    if shown is not None:
        histogram = vars(shown) | {"property": vars(shown.property)}
    return json_reply(
        {
            "systems": found.systems,
            "elements": found.elements,
            "properties": [vars(one) for one in found.properties],
            "histogram": histogram,
        }
    )


async def _material(engine: Engine, request: Request) -> Response:
    found = await engine.ask(material.material, given(request, "id"))
    texts = [
        {
            "source": one.description.source,
            "generator": one.generator_id,
            "sentences": [
                {"tag": sentence.tag, "text": sentence.text}
                for sentence in one.description.sentences
            ],
        }
        for one in found.texts
    ]
    return json_reply(
        found.row
        | {
            "cell": found.cell,
            "values": [vars(one) for one in found.values],
            "predictions": [vars(one) for one in found.predictions],
            "texts": texts,
            "same_structure": found.same_structure,
        }
    )


async def _scene(engine: Engine, request: Request) -> Response:
    crystal, formula = await engine.ask(material.crystal_of, given(request, "id"))
    cells = tuple(whole(request, name, 1, 20) for name in ("a", "b", "c"))
    assert len(cells) == 3
    drawn = scene(crystal, cells)
    return json_reply({"formula": formula, "cells": cells} | drawn.values())


async def _drawing(engine: Engine, request: Request) -> Response:
    crystal, formula = await engine.ask(material.crystal_of, given(request, "id"))
    headers = {"cache-control": "private, max-age=300"}
    return Response(svg(crystal, formula), media_type="image/svg+xml", headers=headers)


async def _structure(engine: Engine, request: Request) -> Response:
    from featurestore.output.names import file_name

    material_id = given(request, "id")
    crystal, formula = await engine.ask(material.crystal_of, material_id)
    kind = given(request, "format", "cif")
    if kind not in ("cif", "poscar"):
        raise InvalidInputError(f"a structure comes as cif or poscar, not {kind!r}")
    title = f"{material_id} {formula}"
    text = as_cif(crystal, title) if kind == "cif" else as_poscar(crystal, title)
    name = file_name(material_id, suffix=".cif" if kind == "cif" else ".poscar")
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    media = "chemical/x-cif" if kind == "cif" else "text/plain; charset=utf-8"
    return Response(text, media_type=media, headers=headers)


async def _neighbours(engine: Engine, request: Request) -> Response:
    material_id, encoder = given(request, "id"), given(request, "encoder")
    k = whole(request, "k", 6, 100)

    def near(source: Source) -> material.Near:
        kinds = dict(material.spaces(source.session))
        if encoder not in kinds:
            raise InvalidInputError(f"the store has no encoder {encoder!r}")
        return material.neighbours(source, material_id, encoder, kinds[encoder], k)

    return json_reply(vars(await engine.ask(near)))


async def _rows(engine: Engine, request: Request) -> Response:
    ids = request.query_params.getlist("id")
    if not 1 <= len(ids) <= _MOST_IDS:
        raise InvalidInputError(f"give 1 to {_MOST_IDS} ids, not {len(ids)}")
    columns = ["material_id", *finding_of.COLUMNS]

    def rows(source: Source) -> pa.Table:
        return rows_of_materials(source.session, ids, columns)

    return table_reply(await engine.ask(rows), wanted_format(request), "materials")


async def _map(engine: Engine, request: Request) -> Response:
    drawn, coloured = await map_of(engine, request)
    if request.query_params.get("format") == "packed":
        return Response(maps.packed(drawn, coloured), media_type="application/octet-stream")
    beside = {"axes": drawn.axes, "limits": drawn.limits, "label": coloured.label}
    return table_reply(maps.map_table(drawn, coloured), wanted_format(request), "map", beside)


async def _models(engine: Engine, request: Request) -> Response:
    boards, warnings = await engine.ask(models.leaderboards)
    listed = [
        {
            "property": board.property,
            "split": board.split,
            "unit": board.unit,
            "models": [
                {
                    "model_ids": row.models.model_ids,
                    "features": row.features,
                    "predictor": row.predictor,
                    "error": row.error,
                    "error_name": row.error_name,
                    "std": row.std,
                    "materials": row.letter,
                    "sizes": row.sizes,
                    "coverage": row.coverage,
                    "standing": row.standing,
                }
                for row in board.rows
            ],
        }
        for board in boards
    ]
    return json_reply({"boards": listed, "warnings": warnings})


async def _points(engine: Engine, request: Request) -> Response:
    fold = request.query_params.get("fold") or None
    table = await engine.ask(models.points, given(request, "id"), fold)
    return table_reply(table, wanted_format(request), "predictions")


async def _lineage(engine: Engine, request: Request) -> Response:
    return json_reply(as_json(await engine.ask(overview.model_lineage_of, given(request, "id"))))


async def _sql(engine: Engine, request: Request) -> Response:
    query, output = given(request, "q"), wanted_format(request)
    first = None if output != "json" else whole(request, "most", sql.SHOWN, engine.limits.rows)
    result = await engine.ask_guarded(sql.run, query, first)
    beside = {"more": result.more, "seconds": result.seconds, "notes": result.notes}
    return table_reply(result.rows, output, "result", beside)


async def _vocabulary(engine: Engine, request: Request) -> Response:
    def words(source: Source) -> dict[str, Any]:
        return engine.kept(source, ("vocabulary",), lambda: sql.vocabulary(source))

    return json_reply(await engine.ask(words))


def _overview(name: str) -> Handler:
    async def answer(engine: Engine, request: Request) -> Response:
        return table_reply(await overview.table(engine, name), wanted_format(request), name)

    return answer


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("/store", "What the store holds, at a glance.", _store),
    Endpoint(
        "/find",
        "Materials that are looked for; JSON has a page, the other formats all.",
        _find,
        (
            *FINDING,
            Parameter("col", "Column or property to give; repeatable.", _MANY),
            Parameter("sort", "Column of the order, after a minus the largest first."),
            Parameter("page", "Page, from 1.", _WHOLE),
            Parameter("most", "Rows at most.", _WHOLE),
        ),
        tabular=True,
    ),
    Endpoint(
        "/facets",
        "Counts of what is looked for by crystal system, element and value.",
        _facets,
        (*FINDING, Parameter("histogram", "Property whose values are counted.")),
    ),
    Endpoint(
        "/rows", "Some materials by id.", _rows, (Parameter("id", "Ids.", _MANY, True),), True
    ),
    Endpoint("/material", "Everything of one material.", _material, (ID,)),
    Endpoint(
        "/material/scene",
        "Atoms, bonds and cell of a material, to be drawn.",
        _scene,
        (ID, *(Parameter(name, f"Cells along {name}.", _WHOLE) for name in "abc")),
    ),
    Endpoint(
        "/material/drawing", "A flat drawing of its cell.", _drawing, (ID,), media="image/svg+xml"
    ),
    Endpoint(
        "/material/structure",
        "Its structure as a file.",
        _structure,
        (ID, Parameter("format", "cif or poscar.")),
        media="chemical/x-cif",
    ),
    Endpoint(
        "/material/neighbours",
        "The nearest materials in an encoder's space.",
        _neighbours,
        (
            ID,
            Parameter("encoder", "Id of the encoder.", required=True),
            Parameter("k", "How many.", _WHOLE),
        ),
    ),
    Endpoint(
        "/map",
        "A space in two dimensions; format=packed is the page's own.",
        _map,
        (
            Parameter("encoder", "Id of the encoder.", required=True),
            Parameter("method", "pca, tsne or umap."),
            Parameter("text", "Text source, of a text encoder."),
            Parameter("colour", "What the points are coloured by."),
        ),
        tabular=True,
    ),
    Endpoint("/models", "Leaderboards.", _models),
    Endpoint(
        "/model/points",
        "Targets and predictions of a model.",
        _points,
        (MODEL, Parameter("fold", "train, val or test; all without.")),
        tabular=True,
    ),
    Endpoint("/model/lineage", "What a model was made from.", _lineage, (MODEL,)),
    Endpoint(
        "/sql",
        "The result of one reading SQL statement; JSON has its first rows.",
        _sql,
        (Parameter("q", "The statement.", required=True), Parameter("most", "Rows.", _WHOLE)),
        tabular=True,
    ),
    Endpoint("/vocabulary", "Names that queries are made of.", _vocabulary),
    *(
        Endpoint(f"/{name}", summary, _overview(name), tabular=True)
        for name, summary in overview.TABLES.items()
    ),
)
