"""HTML pages that stand alone: one file, no network, no script, every value escaped."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explain.drawing.colours import direction, translucent
from explain.drawing.printed import after_value, fixed, number, over_seeds, signed
from explain.words.control import control_said, levels
from featurestore.output.labels import (
    formula_html,
    printed_after,
    printed_in_brackets,
    property_axis,
    property_title,
    space_group_html,
)
from featurestore.output.rows import atomic_path

if TYPE_CHECKING:
    from jinja2 import Environment

    from explain.words.contributions import Contributions

_LABEL_MARGIN = 0.03
# As style.css has them, without its colours, since a notebook may be light or dark.
_MARKS = (
    ".featurestore .text{line-height:1.9}.featurestore .w{padding:.08em .1em;border-radius:2px}"
    ".featurestore .raises{text-decoration:underline solid 2px;text-underline-offset:3px}"
    ".featurestore .lowers{text-decoration:underline dotted 2px;text-underline-offset:3px}"
)


@dataclass(frozen=True)
class Scale:
    """Places values on the width of a chart.

    Parameters
    ----------
    low, high : float
        The ends; ``low`` is less than ``high``.
    """

    low: float
    high: float

    def at(self, value: float) -> str:
        """How far from the left, in per cent with the sign.

        >>> Scale(-1.0, 1.0).at(0.5)
        '75.00%'
        """
        return f"{100 * (value - self.low) / (self.high - self.low):.2f}%"

    def width(self, low: float, high: float) -> str:
        """The width between two values, in per cent with the sign."""
        return f"{100 * (high - low) / (self.high - self.low):.2f}%"


def scale(values: list[float]) -> Scale:
    """A scale that holds zero and all finite values, with a margin."""
    known = [value for value in values if math.isfinite(value)] + [0.0]
    low, high = min(known), max(known)
    margin = _LABEL_MARGIN * (high - low) or 1.0
    return Scale(low - margin, high + margin)


def write_page(template: str, path: Path, **values: Any) -> None:
    """Fill a template of this package and write it, whole or not at all.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    page = render_page(template, **values)
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def render_page(template: str, **values: Any) -> str:
    """The page as text."""
    return str(_environment().get_template(template).render(**values))


def render_coloured(found: Contributions) -> str:
    """The coloured text of a page with its key, as HTML that stands in a notebook."""
    text = _environment().get_template("text.html").module
    unit = found.unit_of_contributions
    return f"<style>{_MARKS}</style>{text.text(found, unit)}{text.key(found, unit)}"  # type: ignore[attr-defined]


def templates_of(package: str) -> Environment:
    """The templates of a package, every value escaped, and a name that is not there an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _environment() -> Environment:
    from markupsafe import Markup

    environment = templates_of("explain")
    environment.filters |= {
        "number": number,
        "over_seeds": over_seeds,
        "after_value": after_value,
        "signed": signed,
        "unit": printed_after,
        "in_unit": printed_in_brackets,
        "fixed": fixed,
        "tint": translucent,
        "direction": direction,
        "levels": levels,
        "control_said": control_said,
        "formula": lambda formula: Markup(formula_html(formula)),
        "space_group": lambda symbol: Markup(space_group_html(symbol)),
        "title": property_title,
        "sentence": lambda text: text[:1].upper() + text[1:],
        "axis": property_axis,
    }
    return environment
