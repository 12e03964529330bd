"""Pages from templates: every value escaped, formulas and space groups as chemists write them."""

from __future__ import annotations

import json
import re
from datetime import datetime
from functools import cache
from importlib import metadata
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import pyarrow as pa
from markupsafe import Markup

from explain.drawing.pages import templates_of
from explain.drawing.printed import number, over_seeds, signed
from explain.explore.replies import plain
from featurestore.output.labels import formula_html, printed_unit, property_title, space_group_html
from featurestore.output.rows import rows_of
from featurestore.output.terminal import escaped

_HASH = re.compile(r"[0-9a-f]{64}")
_LONGEST_CELL = 300
_WORDS = {
    "n_atoms": "atoms",
    "material_id": "material",
    "space_group_number": "space group no.",
    "mae": "MAE",
    "rmse": "RMSE",
    "r2": "R²",
    "ece": "ECE",
    "auc": "AUC",
    "brier": "Brier score",
}


def formula(text: str) -> Markup:
    """A formula with its numbers as subscripts.

    >>> str(formula("Fe3O4"))
    'Fe<sub>3</sub>O<sub>4</sub>'
    """
    return Markup(formula_html(shown(text)))


def space_group(text: str) -> Markup:
    """A Hermann-Mauguin symbol as it is printed.

    >>> str(space_group("P2_1/c"))
    'P2<sub>1</sub>/c'
    """
    return Markup(space_group_html(shown(text)))


def shown(value: Any) -> str:
    """A text in which marks that hide or reorder others are shown as what they are."""
    return escaped(str(value))


def cell(value: Any) -> str:
    """A value of a table as people read it; a long one is cut."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.4g}".replace("-", "−").replace("nan", "–")
    if isinstance(value, int):
        return (
            f"{value:,}".replace("-", "−") if abs(value) >= 1000 else str(value).replace("-", "−")
        )
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    text = shown(plain(value))
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "…"


def is_number(value: Any) -> bool:
    """Whether a value stands at the right of its cell."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def unit(text: str) -> str:
    """A unit after a number, with a narrow blank; nothing for a pure number."""
    return "" if text in ("", "1") else f"\u202f{printed_unit(shown(text))}"


def in_unit(text: str) -> str:
    """A unit after a name, in brackets."""
    return "" if text in ("", "1") else f" ({printed_unit(shown(text))})"


def link(path: str, **pairs: Any) -> str:
    """An address of this server."""
    query = urlencode([(name, value) for name, value in pairs.items() if value is not None])
    return f"{path}?{query}" if query else path


def words(name: str) -> str:
    """A column's or property's name as words: "n_atoms" is "atoms"."""
    return _WORDS.get(name) or property_title(shown(name)).replace("_", " ")


def counted(text: str | None) -> str:
    """The counts of a run as words.

    >>> counted('{"present":3,"written":1000}'), counted(None), counted("[1]")
    ('present 3, written 1,000', '–', '[1]')
    """
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return cell(text)
    if not isinstance(found, dict):
        return cell(text)
    return ", ".join(f"{words(name)} {cell(n)}" for name, n in found.items()) or "–"


def is_hash(value: Any) -> bool:
    """Whether a value is a SHA-256, of which the beginning is shown."""
    return isinstance(value, str) and _HASH.fullmatch(value) is not None


def is_moment(value: Any) -> bool:
    """Whether a value is a time, which is not broken into lines."""
    return isinstance(value, datetime)


def cells_of(table: pa.Table) -> list[list[tuple[str, Any]]]:
    """Name and value of each cell, row by row; columns may share a name."""
    names = table.column_names
    columns = [[row["v"] for row in rows_of(pa.table({"v": column}))] for column in table.columns]
    return [list(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


@cache
def environment() -> Any:
    """The templates of this package."""
    made = templates_of("explain.explore")
    made.filters |= {
        "formula": formula,
        "space_group": space_group,
        "shown": shown,
        "cell": cell,
        "number": number,
        "signed": signed,
        "unit": unit,
        "in_unit": in_unit,
        "words": words,
        "counted": counted,
        "quote": quote,
        "zip_with": zip,
    }
    made.tests |= {"numeric": is_number, "hash": is_hash, "moment": is_moment}
    made.globals |= {
        "finding_pairs": lambda finding: parse_qsl(finding.query(page=1)),
        "link": link,
        "over_seeds": over_seeds,
        "rows_of": cells_of,
        "version": metadata.version("materials-featurestore"),
    }
    return made


def render(template: str, **values: Any) -> str:
    """A page as text."""
    return str(environment().get_template(template).render(**values))
