"""Draws the README's picture from the table of docs/results_training.md.

python -m benchmarks.readme_picture
"""

from __future__ import annotations

import re
from pathlib import Path

import click

DOCS = Path(__file__).parents[1] / "docs"
_ROW = re.compile(r"^\|([^|]*)\|([^|]*)\|\s*(\d*)\s*\|([^|]*)\|", re.MULTILINE)
_DRAWN = {
    "structure": ("structure: ALIGNN", "#0072b2", "o"),
    "robocrystallographer": ("text: BERT on Robocrystallographer", "#d55e00", "s"),
    "structure + robocrystallographer": ("both", "#009e73", "D"),
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
    import matplotlib

    matplotlib.use("svg")
    from matplotlib.figure import Figure

    text = (DOCS / "results_training.md").read_text("utf-8")
    found = errors(text.partition("## Does text help?")[2].partition("\n## ")[0])
    matplotlib.rcParams |= {"svg.hashsalt": "featurestore", "svg.fonttype": "none"}
    figure = Figure(figsize=(7.4, 3.2), layout="constrained")
    axes = figure.subplots()
    for place, name in enumerate(reversed(found)):
        for key, value in found[name].items():
            label, colour, marker = _DRAWN[key]
            first = label if not place else None
            axes.plot(100 * value, place, marker, color=colour, markersize=7, label=first)
    axes.set_yticks(range(len(found)), list(reversed(found)))
    axes.set(xlim=(0, 100), xlabel="test MAE, % of that of the training median")
    axes.grid(axis="x", color="#dddddd")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(left=False)
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    figure.savefig(output, metadata={"Date": None})
    click.echo(f"Wrote {output}")


if __name__ == "__main__":
    main()
