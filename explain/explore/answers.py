"""The answers of the HTTP interface, one function for each address."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pyarrow as pa
from starlette.requests import Request
from starlette.responses import Response

from explain.explore import maps, material, models, neighbours, overview, sql
from explain.explore.asking import facets, find, finding, given, map_of, whole
from explain.explore.engine import Engine
from explain.explore.find import PAGE
from explain.explore.finding import COLUMNS
from explain.explore.replies import json_reply, table_reply, wanted_format
from explain.explore.sessions import Source
from featurestore.errors import InvalidInputError
from featurestore.history.lineage_output import as_json
from featurestore.output.names import file_name
from featurestore.output.scene import scene
from featurestore.output.structure_files import as_cif, as_poscar
from featurestore.output.structure_picture import structure_svg
from featurestore.query.paging import rows_of_materials

Handler = Callable[[Engine, Request], Awaitable[Response]]

_MOST_IDS = 200
_THUMBNAIL = 140.0
# Of a cell without a volume.
_NOTHING = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 1 1'/>"


async def store_answer(engine: Engine, request: Request) -> Response:
    """What the store holds, at a glance."""
    return json_reply(await engine.ask(overview.glance))


async def find_answer(engine: Engine, request: Request) -> Response:
    """A page of what is found, or all of it."""
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


async def facets_answer(engine: Engine, request: Request) -> Response:
    """Counts beside what is found."""
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


async def material_answer(engine: Engine, request: Request) -> Response:
    """Everything of one material."""
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


async def scene_answer(engine: Engine, request: Request) -> Response:
    """What is drawn of a structure."""
    crystal, formula = await engine.ask(material.crystal_of, given(request, "id"))
    cells = tuple(whole(request, name, 1, 20) for name in ("a", "b", "c"))
    assert len(cells) == 3
    drawn = scene(crystal, cells)
    return json_reply({"formula": formula, "cells": cells} | drawn.values())


async def drawing_answer(engine: Engine, request: Request) -> Response:
    """A flat drawing of a structure."""
    crystal, _ = await engine.ask(material.crystal_of, given(request, "id"))
    drawing = structure_svg(crystal, _THUMBNAIL, legend=False) or _NOTHING
    headers = {"cache-control": "private, max-age=300"}
    return Response(drawing, media_type="image/svg+xml", headers=headers)


async def structure_answer(engine: Engine, request: Request) -> Response:
    """A structure as a CIF or POSCAR file."""
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


async def neighbours_answer(engine: Engine, request: Request) -> Response:
    """The nearest materials in one space."""
    material_id, encoder = given(request, "id"), given(request, "encoder")
    k = whole(request, "k", 6, 100)

    def near(source: Source) -> neighbours.Near:
        kinds = dict(neighbours.spaces(source.session))
        if encoder not in kinds:
            raise InvalidInputError(f"the store has no encoder {encoder!r}")
        return neighbours.neighbours(source, material_id, encoder, kinds[encoder], k)

    return json_reply(vars(await engine.ask(near)))


async def rows_answer(engine: Engine, request: Request) -> Response:
    """Some materials by id."""
    ids = request.query_params.getlist("id")
    if not 1 <= len(ids) <= _MOST_IDS:
        raise InvalidInputError(f"give 1 to {_MOST_IDS} ids, not {len(ids)}")
    columns = ["material_id", *COLUMNS]

    def rows(source: Source) -> pa.Table:
        return rows_of_materials(source.session, ids, columns)

    return table_reply(await engine.ask(rows), wanted_format(request), "materials")


async def map_answer(engine: Engine, request: Request) -> Response:
    """A map with its colours."""
    drawn, coloured = await map_of(engine, request)
    if request.query_params.get("format") == "packed":
        return Response(maps.packed(drawn, coloured), media_type="application/octet-stream")
    beside = {"axes": drawn.axes, "limits": drawn.limits, "label": coloured.label}
    return table_reply(maps.map_table(drawn, coloured), wanted_format(request), "map", beside)


async def models_answer(engine: Engine, request: Request) -> Response:
    """The leaderboards."""
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


async def points_answer(engine: Engine, request: Request) -> Response:
    """What a model predicted."""
    fold = request.query_params.get("fold") or None
    table = await engine.ask(models.points, given(request, "id"), fold)
    return table_reply(table, wanted_format(request), "predictions")


async def lineage_answer(engine: Engine, request: Request) -> Response:
    """What a model was made from."""
    return json_reply(as_json(await overview.model_lineage_of(engine, given(request, "id"))))


async def sql_answer(engine: Engine, request: Request) -> Response:
    """The result of a query."""
    query, output = given(request, "q"), wanted_format(request)
    first = None if output != "json" else whole(request, "most", sql.SHOWN, engine.limits.rows)
    result = await engine.ask_guarded(sql.run, query, first)
    beside = {"more": result.more, "seconds": result.seconds, "notes": result.notes}
    return table_reply(result.rows, output, "result", beside)


async def vocabulary_answer(engine: Engine, request: Request) -> Response:
    """Names that queries are made of."""

    def words(source: Source) -> dict[str, Any]:
        return engine.kept(source, ("vocabulary",), lambda: sql.vocabulary(source))

    return json_reply(await engine.ask(words))


def overview_answer(name: str) -> Handler:
    """What answers with one of `overview.TABLES`."""

    async def answer(engine: Engine, request: Request) -> Response:
        return table_reply(await overview.table(engine, name), wanted_format(request), name)

    return answer
