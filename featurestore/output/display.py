"""How objects show themselves: a few lines as text, and the same with a table in a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from io import StringIO

import pyarrow as pa

from featurestore.output.rows import cell, print_table

#: Rows of a table that are shown; the others are counted.
MOST_ROWS = 20

_STYLE = "border-collapse:collapse;font-variant-numeric:tabular-nums"


@dataclass(frozen=True)
class Showing:
    """What there is to show of an object.

    Parameters
    ----------
    title : str
        What it is, in a line.
    facts : mapping of str to str
        Names with values, in order.
    table : pyarrow.Table, optional
        Its rows; the first are shown.
    notes : tuple of str
        Sentences below.
    """

    title: str
    facts: Mapping[str, str] = field(default_factory=dict)
    table: pa.Table | None = None
    notes: tuple[str, ...] = ()


class Shown:
    """Gives an object that has a `Showing` its ``repr`` and its face in a notebook."""

    def showing(self) -> Showing:
        """What there is to show; cheap, since a notebook asks whenever a cell ends with it."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return as_text(self.showing())

    def _repr_html_(self) -> str:
        return as_html(self.showing())


def as_text(showing: Showing) -> str:
    """The title, the facts, the first rows and the notes, as text."""
    lines = [showing.title]
    width = max(map(len, showing.facts), default=0)
    lines += [f"  {name:{width}}  {value}" for name, value in showing.facts.items()]
    if showing.table is not None:
        stream = StringIO()
        print_table(showing.table.slice(0, MOST_ROWS), stream=stream)
        lines += [stream.getvalue().rstrip("\n")]
        lines += _more(showing.table)
    return "\n".join([*lines, *(f"Note: {note}" for note in showing.notes)])


def as_html(showing: Showing) -> str:
    """The same as HTML that stands alone; every value is escaped, no script is run."""
    parts = [f"<p><b>{escape(showing.title)}</b></p>"]
    if showing.facts:
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(name)}</th>"
            f"<td style='text-align:left'>{escape(value)}</td></tr>"
            for name, value in showing.facts.items()
        )
        parts.append(f"<table style='{_STYLE}'>{rows}</table>")
    if showing.table is not None:
        parts.append(_html_table(showing.table.slice(0, MOST_ROWS)))
        parts += [f"<p>{escape(line)}</p>" for line in _more(showing.table)]
    parts += [f"<p>{escape(note)}</p>" for note in showing.notes]
    return f"<div>{''.join(parts)}</div>"


def _more(table: pa.Table) -> list[str]:
    left = table.num_rows - MOST_ROWS
    return [f"… and {left:,} more rows"] if left > 0 else []


def _html_table(table: pa.Table) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in table.column_names)
    columns = [table.column(i).to_pylist() for i in range(table.num_columns)]
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell(value))}</td>" for value in row) + "</tr>"
        for row in zip(*columns, strict=True)
    )
    return f"<table style='{_STYLE}'><tr>{head}</tr>{body}</table>"
