"""``featurestore train leaderboard``: predictions in the form of JARVIS-Leaderboard."""

from __future__ import annotations

from pathlib import Path

import click

from featurestore.cli.options import CONTEXT, at_option, file_option, store_option
from featurestore.output.notes import note


@click.command(context_settings=CONTEXT)
@click.argument("name", metavar="MODEL")
@file_option(
    "path", "File that ends in .csv.zip. Default: the leaderboard's own name, in this folder."
)
@click.option(
    "--dataset", metavar="NAME", help="The leaderboard's name of the data set, as dft_3d."
)
@store_option
@at_option
def leaderboard(
    name: str, path: Path | None, dataset: str | None, store_uri: str, at: str | None
) -> None:
    """Export a model's test predictions in the JARVIS-Leaderboard's format.

    \b
    Example:
      featurestore train leaderboard Tc_supercon_structure_7b
    """
    from featurestore.store import FeatureStore
    from train.analysis.leaderboard import leaderboard_name, write_leaderboard
    from train.models import find_model

    if path is not None and not path.name.endswith(".csv.zip"):
        raise click.UsageError("The file's name ends in .csv.zip.")
    with FeatureStore.open(store_uri, at=at).session() as session:
        model = find_model(session, name)
        expected = leaderboard_name(session, model, dataset)
        path = path or Path(expected)
        n = write_leaderboard(session, model, path)
    note(f"Wrote {n:,} predictions to {path}")
    if path.name != expected:
        note(f"Note: the leaderboard expects the name {expected}")
