"""The pages on the store as a whole: one for each of `explain.explore.overview.TABLES`."""

from __future__ import annotations

import pyarrow as pa
from starlette.requests import Request
from starlette.responses import Response

from explain.explore import charts, overview
from explain.explore.engine import Engine
from explain.explore.page import Page, page


async def glance(engine: Engine, request: Request) -> Response:
    """The store at a glance."""
    return await page(engine, request, "store.html", glance=await engine.ask(overview.glance))


def table_page(name: str) -> Page:
    """What shows one of `overview.TABLES`."""

    async def answer(engine: Engine, request: Request) -> Response:
        table = await overview.table(engine, name)
        bar, full = charts.full_bar(name, table)
        return await page(
            engine,
            request,
            "overview.html",
            name=name,
            said=overview.TABLES[name],
            rows=table.slice(0, 1000).to_pylist(),
            names=charts.shown_columns(name, table),
            numeric=[
                f.name
                for f in table.schema
                if pa.types.is_primitive(f.type) and not pa.types.is_temporal(f.type)
            ],
            total=table.num_rows,
            bar=bar,
            full=full,
            counted=charts.counts(table, of) if (of := charts.COUNTED.get(name)) else (),
            timeline=charts.timeline(table) if name == "runs" else None,
        )

    return answer
