"""How objects show themselves: a few lines as text, and the same with a table in a notebook."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from io import StringIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a process that reads or analyses structures starts without Arrow
    import pyarrow as pa

    from featurestore.output.figure import Figure

#: Rows of a table that are shown; the others are counted.
MOST_ROWS = 20

# Colours come from the notebook, so that it may be light or dark.
_STYLE = """<style>
.featurestore{line-height:1.4;max-width:62rem}
.featurestore p{margin:.35rem 0}
.featurestore table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:.35rem 0;
display:block;overflow-x:auto}
.featurestore th,.featurestore td{text-align:left;vertical-align:baseline;padding:.2rem .75rem
.2rem 0;border-bottom:1px solid rgba(128,128,128,.25);background:none}
.featurestore th{font-weight:600;opacity:.75}
.featurestore .n{text-align:right}
.featurestore sub{font-size:.75em;line-height:0}
.featurestore .soft{opacity:.75;font-size:.875em}
.featurestore img{max-width:100%;height:auto}
</style>"""


def no_picture() -> str:
    """Of what has nothing to draw."""
    return ""


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
    picture : callable
        Draws what only a notebook shows: HTML without scripts in which every value is escaped. It
        is called when it is shown.
    """

    title: str
    facts: Mapping[str, str] = field(default_factory=dict)
    table: pa.Table | None = None
    notes: tuple[str, ...] = ()
    picture: Callable[[], str] = no_picture


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
    from featurestore.output.rows import print_table

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
            f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
            for name, value in showing.facts.items()
        )
        parts.append(f"<table>{rows}</table>")
    parts.append(showing.picture())
    if showing.table is not None:
        parts.append(html_table(showing.table.slice(0, MOST_ROWS)))
        parts += [f"<p class='soft'>{escape(line)}</p>" for line in _more(showing.table)]
    parts += [f"<p class='soft'>{escape(note)}</p>" for note in showing.notes]
    return f"<div class='featurestore'>{_STYLE}{''.join(parts)}</div>"


def html_table(table: pa.Table) -> str:
    """All rows of a table as HTML: numbers to the right, formulas with subscripts."""
    import pyarrow as pa

    from featurestore.output.rows import cell

    numeric = [
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        for kind in table.schema.types
    ]
    sides = [" class='n'" if right else "" for right in numeric]
    head = "".join(
        f"<th{side}>{escape(name)}</th>"
        for name, side in zip(table.column_names, sides, strict=True)
    )
    written = [_writer(name) for name in table.column_names]
    columns = [table.column(i).to_pylist() for i in range(table.num_columns)]
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{side}>{write(cell(value))}</td>"
            for value, side, write in zip(row, sides, written, strict=True)
        )
        + "</tr>"
        for row in zip(*columns, strict=True)
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def figure_html(figure: Figure, what: str) -> str:
    """A figure as an image in HTML; ``what`` is said to those who cannot see it."""
    data = b64encode(figure._repr_png_()).decode()
    return f"<img alt='{escape(what)}' src='data:image/png;base64,{data}'>"


def _writer(column: str) -> Callable[[str], str]:
    from featurestore.output.labels import formula_html, space_group_html

    return {"formula": formula_html, "space_group": space_group_html}.get(column, escape)


def _more(table: pa.Table) -> list[str]:
    left = table.num_rows - MOST_ROWS
    return [f"… and {left:,} more rows"] if left > 0 else []
