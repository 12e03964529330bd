"""``featurestore explain report``: one page on a model."""

from __future__ import annotations

from pathlib import Path

import click

from explain.cli.options import model_option
from featurestore.cli.options import CONTEXT, at_option, file_option, store_option
from featurestore.output.notes import note


@click.command(context_settings=CONTEXT)
@model_option
@click.option(
    "--material",
    "materials",
    multiple=True,
    metavar="ID",
    help="Material to show in full (may be repeated). Default: three of the test fold.",
)
@file_option("path", "HTML file.", required=True)
@store_option
@at_option
def report(
    name: str, materials: tuple[str, ...], path: Path, store_uri: str, at: str | None
) -> None:
    """Write one self-contained page on a model: its training, its errors, what it relies on.

    The page shows what 'explain tags', 'explain segments' and 'explain words' have stored, and says
    which command makes what is missing. It needs no network and runs no script.

    \b
    Example:
      featurestore explain report --model Tc_supercon_structure_7b -o report.html
    """
    from explain.report.page import write_report
    from featurestore.store import FeatureStore

    with FeatureStore.open(store_uri, at=at).session() as session:
        write_report(session, name, path, materials, store_uri)
    note(f"Wrote {path}")
