"""The coloured text in a terminal."""

from __future__ import annotations

import textwrap

import click

from explain.drawing.colours import direction, tint
from explain.drawing.printed import after_value, signed
from explain.erasing.outputs import output_unit
from explain.words.contributions import Contributions, caption
from explain.words.control import control_said, levels
from featurestore.output.labels import printed_after

_STRONGEST = 10


def coloured_text(found: Contributions, width: int) -> str:
    """The words with the colours of their contributions, in lines of at most ``width`` letters.

    A word that raises the prediction is underlined, too, so that colour is not all that tells.
    """
    values = levels(found)
    words = found.description.words
    # textwrap counts letters; the colours come afterwards.
    lines = textwrap.wrap(" ".join(words), width, break_long_words=False, break_on_hyphens=False)
    styled, at = [], 0
    for line in lines:
        count = len(line.split(" "))
        styled.append(
            " ".join(
                click.style(
                    word,
                    fg=(0, 0, 0),
                    bg=tint(value),
                    underline=direction(value) == "raises" or None,
                )
                for word, value in zip(words[at : at + count], values[at : at + count], strict=True)
            )
        )
        at += count
    return "\n".join(styled)


def summary(found: Contributions) -> str:
    """Whose prediction it is, what the colours mean, and the strongest parts."""
    unit = printed_after(output_unit(found.models.first))
    strongest = sorted(found.parts, key=lambda part: -abs(part.mean))[:_STRONGEST]
    lines = [
        *caption(found),
        click.style(" lowers ", fg=(0, 0, 0), bg=tint(-1.0))
        + " "
        + click.style(" raises ", fg=(0, 0, 0), bg=tint(1.0), underline=True)
        + f" the prediction {found.reach}; {found.how}",
        *([f"{said[0].upper()}{said[1:]}."] if (said := control_said(found)) else []),
        "",
        *(
            f"{signed(part.mean):>10}{unit}"
            + (f"{after_value(part.std, part.mean):<11}" if part.std is not None else "")
            + f"  {textwrap.shorten(part.unit.text, 60)} [{part.unit.part}]"
            for part in strongest
        ),
    ]
    return "\n".join(lines)
