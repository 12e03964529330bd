"""Draws the README's picture from the table of docs/results_training.md.

python -m benchmarks.readme_picture
"""

from __future__ import annotations

import re
from pathlib import Path

import click

from featurestore.output.figure import Figure
from featurestore.output.figures import write_figure
from featurestore.output.labels import property_title
from featurestore.output.style import COLOURS, along_x, new_figure, styled

DOCS = Path(__file__).parents[1] / "docs"
_ROW = re.compile(r"^\|([^|]*)\|([^|]*)\|\s*(\d*)\s*\|([^|]*)\|", re.MULTILINE)
_DRAWN = {
    "structure": ("structure: ALIGNN", COLOURS[0], "o"),
    "robocrystallographer": ("text: BERT on Robocrystallographer", COLOURS[1], "s"),
    "structure + robocrystallographer": ("both", COLOURS[2], "D"),
}


def errors(text: str) -> dict[str, dict[str, float]]:
    """Test MAE by property and features, each as a share of the median's.

    >>> row = "| ehull, eV/atom (4 / 5 / 6) | structure | 3 | 0.5 ± 0.1 |"
    >>> errors(row + "\\n| | mean, median | | 3, 2.0 |")
    {'ehull': {'structure': 0.25}}
    """
    found: dict[str, dict[str, float]] = {}
    name = ""
    for first, features, _, value in _ROW.findall(text):
        name = re.split(r"[ ,(]", first.strip())[0] or name
        if features.strip() == "mean, median":
            median = float(value.split(",")[1])
            found[name] = {key: mae / median for key, mae in found[name].items()}
        elif features.strip() in _DRAWN:
            found.setdefault(name, {})[features.strip()] = float(value.split("±")[0])
    return found


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), default=DOCS / "errors.svg")
def main(output: Path) -> None:
    """Draw the picture again."""
    text = (DOCS / "results_training.md").read_text("utf-8")
    found = errors(text.partition("## Does text help?")[2].partition("\n## ")[0])
    write_figure(picture(found), output, tight=False)
    click.echo(f"Wrote {output}")


@styled
def picture(found: dict[str, dict[str, float]]) -> Figure:
    """The figure: a line for each property, a mark for each of the features."""
    figure = new_figure(7.4, 3.2)
    axes = figure.subplots()
    for place, name in enumerate(found):
        for key, value in found[name].items():
            label, colour, marker = _DRAWN[key]
            first = None if place else label
            axes.plot(100 * value, place, marker, color=colour, markersize=6, label=first)
    axes.set_yticks(range(len(found)), [property_title(name) for name in found])
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.set(xlim=(0, 100), xlabel="test MAE, % of that of the training median")
    along_x(axes, axis=False)
    figure.legend(loc="outside upper center", ncols=3)
    return figure


if __name__ == "__main__":
    main()
