"""Answers as bytes: JSON, Arrow, CSV and Parquet of a table; an error as a page or as JSON."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from featurestore.errors import InvalidInputError
from featurestore.output.names import file_name
from featurestore.output.rows import print_table, rows_of
from featurestore.output.spreadsheet import harmless_table

#: Formats of an answer that is a table, with their media types.
MEDIA_TYPES = {
    "json": "application/json",
    "arrow": "application/vnd.apache.arrow.stream",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
_ROWS_A_PART = 20_000


def plain(value: Any) -> Any:
    """A value as JSON holds it: NaN and infinity become null, moments text."""
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return str(value)


def json_reply(value: Any, status: int = 200) -> Response:
    """Values as JSON."""
    text = json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))
    return Response(text.encode("utf-8", "replace"), status, media_type="application/json")


def table_values(table: pa.Table) -> dict[str, Any]:
    """A table as JSON: its columns with their types, and its rows as objects."""
    columns = [{"name": field.name, "type": str(field.type)} for field in table.schema]
    return {"columns": columns, "rows": rows_of(table)}


def wanted_format(request: Request) -> str:
    """The format that a request asks for, by ``format`` or by its Accept header.

    Raises
    ------
    InvalidInputError
        If there is no such format.
    """
    name = request.query_params.get("format")
    if name is None:
        accepted = request.headers.get("accept", "")
        name = next((one for one, media in MEDIA_TYPES.items() if media in accepted), "json")
    if name not in MEDIA_TYPES:
        raise InvalidInputError(f"the format is one of {', '.join(MEDIA_TYPES)}, not {name!r}")
    return name


def table_reply(
    table: pa.Table, output_format: str, name: str, beside: dict[str, Any] | None = None
) -> Response:
    """A table in a format.

    Parameters
    ----------
    table : pyarrow.Table
        The rows.
    output_format : str
        One of `MEDIA_TYPES`.
    name : str
        Of the file, where the answer is one.
    beside : dict, optional
        What JSON says beside the rows.
    """
    if output_format == "json":
        return json_reply((beside or {}) | table_values(table))
    media = MEDIA_TYPES[output_format]
    shown = file_name(name, suffix=f".{output_format}")
    headers = {"content-disposition": f'attachment; filename="{shown}"'}
    if output_format == "csv":
        return StreamingResponse(_csv(table), media_type=media, headers=headers)
    held = io.BytesIO()
    if output_format == "arrow":
        with pa.ipc.new_stream(held, table.schema) as writer:
            writer.write_table(table)
    else:
        from pyarrow import parquet

        parquet.write_table(table, held)
    return Response(held.getvalue(), media_type=media, headers=headers)


def _csv(table: pa.Table) -> Iterator[bytes]:
    """CSV in parts; texts that a spreadsheet would run as formulas have an apostrophe."""
    table = harmless_table(table)
    for first in range(0, max(table.num_rows, 1), _ROWS_A_PART):
        text = io.StringIO()
        print_table(table.slice(first, _ROWS_A_PART), "csv", text)
        written = text.getvalue()
        yield (written if first == 0 else written.partition("\n")[2]).encode("utf-8", "replace")
