"""The coloured text as a figure, in the form of Fig. 3 of Li et al., Digital Discovery 2025."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill
from typing import Any

from explain.drawing.colours import direction, translucent
from explain.words.contributions import Contributions, caption
from explain.words.control import control_said, levels
from featurestore.output.figure import Figure
from featurestore.output.figures import write_figure
from featurestore.output.style import new_figure, styled

_WIDTH_INCHES, _DPI, _SIZE = 8.0, 150, 10.0
_MARGIN, _LINE, _GAP, _PAD = 0.25, 0.27, 0.055, 0.025


def write_text_figure(found: Contributions, path: Path) -> None:
    """Write what `text_figure` draws to a PNG, SVG or PDF file.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    write_figure(text_figure(found), path, tight=False)


@styled
def text_figure(found: Contributions) -> Figure:
    """The text, each word on the colour of what it adds to the prediction beyond the control.

    See `explain.words.control`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.font_manager import FontProperties

    figure = new_figure(_WIDTH_INCHES, 1, [model.model_id for model in found.models])
    figure.set_layout_engine("none")
    renderer = FigureCanvasAgg(figure).get_renderer()
    font = FontProperties(size=_SIZE)

    def inches(text: str) -> float:
        # A dollar sign would start mathematics.
        return float(renderer.get_text_width_height_descent(text, font, False)[0]) / _DPI

    placed, x, line = [], _MARGIN, 0
    values = levels(found)
    for word, value in zip(found.description.words, values, strict=True):
        width = inches(word)
        if x > _MARGIN and x + width > _WIDTH_INCHES - _MARGIN:
            x, line = _MARGIN, line + 1
        placed.append((word, float(value), x, line, width))
        x += width + _GAP
    head = caption(found)
    foot = fill(control_said(found), 110).splitlines()
    height = 2 * _MARGIN + _LINE * (line + 1) + 0.2 * (len(head) + 2 + len(foot))
    figure.set_size_inches(_WIDTH_INCHES, height)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, _WIDTH_INCHES), ylim=(height, 0))
    axes.axis("off")
    y = _MARGIN + 0.1
    for text in head:
        weight = "bold" if text is head[0] else "normal"
        _write(axes, _MARGIN, y, text, size=9, color="#333333", fontweight=weight)
        y += 0.2
    top = y + 0.1
    for word, value, x, line, width in placed:
        middle = top + _LINE * line
        _word(axes, word, value, x, middle, width)
    y = top + _LINE * (placed[-1][3] + 1) + 0.1
    _key(axes, found, y, inches)
    for row, text in enumerate(foot, 1):
        _write(axes, _MARGIN, y + 0.2 * row, text, size=8, color="#555555")
    return figure


def _write(axes: Any, x: float, y: float, text: str, **style: Any) -> None:
    axes.text(x, y, text, va="center", ha="left", parse_math=False, **style)


def _word(axes: Any, word: str, value: float, x: float, middle: float, width: float) -> None:
    from matplotlib.patches import Rectangle

    corner = (x - _PAD, middle - 0.42 * _LINE)
    axes.add_patch(
        Rectangle(corner, width + 2 * _PAD, 0.84 * _LINE, color=translucent(value), linewidth=0)
    )
    _write(axes, x, middle, word, size=_SIZE, color="black")
    style = {"raises": "-", "lowers": ":"}.get(direction(value))
    if style is not None:
        y = middle + 0.36 * _LINE
        axes.plot([x, x + width], [y, y], style, color="#333333", linewidth=1)


def _key(axes: Any, found: Contributions, y: float, inches: Any) -> None:
    x = _MARGIN
    for word, value in (("lowers", -1.0), ("raises", 1.0)):
        _word(axes, word, value, x, y, inches(word))
        x += inches(word) + 0.15
    text = f"the prediction {found.reach}; {found.how}"
    _write(axes, x, y, text, size=9, color="#333333")
