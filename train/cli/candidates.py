"""Options of commands that predict structures from files and from the store."""

from __future__ import annotations

from collections.abc import Sequence

import click

from featurestore.cli.options import together

#: Which candidates: ``sources``, ``ids`` and ``where``.
which_options = together(
    click.argument("sources", nargs=-1),
    click.option(
        "--id", "ids", multiple=True, metavar="ID", help="A stored material (repeatable)."
    ),
    click.option(
        "--where",
        metavar="SQL",
        help="Stored materials for which this condition over materials and properties holds.",
    ),
)

#: What becomes of those from files: ``no_store``, ``dataset`` and ``id_from``.
keeping_options = together(
    click.option(
        "--no-store", is_flag=True, help="Leave nothing behind: neither materials nor forecasts."
    ),
    click.option("--dataset", help="Name recorded for the data set. Default: that of the source."),
    click.option(
        "--id-from",
        default="stem",
        show_default=True,
        metavar="WAY",
        help="What of a file is its material's id: stem, path, formula or regex:PATTERN of its "
        "path.",
    ),
)


def check_which(sources: Sequence[str], ids: Sequence[str], where: str | None) -> None:
    """Raise a usage error unless some candidates are named."""
    if not sources and not ids and where is None:
        raise click.UsageError("Name structure files, or stored materials with --id or --where.")
