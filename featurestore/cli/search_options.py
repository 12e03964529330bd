"""Options that the commands of ``featurestore search`` share, and how they show what was found."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featurestore.cli.options import (
    Command,
    at_option,
    format_option,
    output_option,
    store_option,
    together,
)
from featurestore.output.notes import note

if TYPE_CHECKING:
    from featurestore.search.hits import Among, Hits

SPACES = ("structure", "text", "both")


@dataclass(frozen=True)
class Asked:
    """What the shared options say.

    Parameters
    ----------
    k, where, property_source : int, str or None, str or None
        As in `Among`.
    metric : str
        Distance of vectors.
    explain, exact : bool
        Whether to say why, and to use no index.
    encoders : tuple of str
        Names or ids.
    text_source, variant : str or None, str
        Which texts.
    output_format, output : str, Path or None
        Where the hits go.
    """

    k: int
    where: str | None
    property_source: str | None
    metric: str
    explain: bool
    exact: bool
    encoders: tuple[str, ...]
    text_source: str | None
    variant: str
    output_format: str
    output: Path | None

    def among(self, without: str | None = None) -> Among:
        """Which materials, and how many."""
        from featurestore.search.hits import Among

        return Among(self.k, self.where, self.property_source, without)


def search_options(command: Command) -> Command:
    """Add the shared options; the command gets them as ``asked``, and ``store_uri`` and ``at``."""

    @functools.wraps(command)
    def with_asked(**given: Any) -> Any:
        fields = {name: given.pop(name) for name in Asked.__dataclass_fields__}
        return command(asked=Asked(**fields), **given)

    return _search_options(with_asked)  # type: ignore[return-value]


def show(hits: Hits, asked: Asked) -> None:
    """Print the hits, or write them to the file that was named; notes go to standard error."""
    from featurestore.output.rows import print_table, write_table

    for sentence in hits.notes:
        note(f"note: {sentence}")
    if asked.output is None:
        print_table(hits.table, asked.output_format)
    else:
        write_table(hits.table, asked.output)
        click.echo(f"{hits.table.num_rows} rows written to {asked.output}")


find_option = click.option(
    "--find",
    type=click.Choice(["structure", "text"]),
    help="What is compared: structures or descriptions. The other than what is given needs an "
    "encoder of a joint space ('train align').  [default: what is given]",
)

text_options = together(
    click.option("--text", "text_source", metavar="SOURCE", help="Text source. Default: the only."),
    click.option(
        "--variant",
        default="full",
        show_default=True,
        help="Text variant: full, without:TAG or only:TAG.",
    ),
)

metric_option = click.option(
    "--metric",
    type=click.Choice(["cosine", "l2", "dot"]),
    default="cosine",
    show_default=True,
    help="Distance of vectors: 1 - cos, Euclidean, or minus the product.",
)

_search_options = together(
    # Not a range of click's: a k of 0 is refused in one place, for Python and here.
    click.option("-k", "k", default=10, show_default=True, help="Materials wanted."),
    click.option(
        "--where",
        metavar="SQL",
        help="Only materials for which this holds; it may name columns of materials and "
        "properties: \"crystal_system = 'cubic' AND mbj_bandgap > 1\".",
    ),
    click.option(
        "--property-source",
        metavar="NAME",
        help="Source of a property's values, where it has several.",
    ),
    click.option(
        "--encoder",
        "encoders",
        multiple=True,
        metavar="NAME",
        help="Whose vectors (one for each space). Default: the only one.",
    ),
    text_options,
    metric_option,
    click.option(
        "--explain",
        is_flag=True,
        help="Say why: the distance of each segment of the vector, and shared sentences.",
    ),
    click.option("--exact", is_flag=True, help="Compare with every vector, past any index."),
    store_option,
    at_option,
    format_option,
    output_option,
)
