"""``featurestore train leaderboard``: predictions in the form of JARVIS-Leaderboard."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from featurestore.cli.completion import stored
from featurestore.cli.options import CONTEXT, at_option, file_option, store_option
from featurestore.output.notes import note

_NEEDED = ("team", "email", "url", "git_urls", "database_version", "hardware")


@click.command(context_settings=CONTEXT)
@click.argument("name", metavar="MODEL", shell_complete=stored("models"))
@file_option(
    "path", "File that ends in .csv.zip. Default: the leaderboard's own name, in this folder."
)
@click.option(
    "--dataset", metavar="NAME", help="The leaderboard's name of the data set, as dft_3d."
)
@click.option(
    "--contribution",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the whole contribution into this folder, which is named as it will be: "
    "predictions, metadata.json and run.sh. Needs the options below.",
)
@click.option("--team", help="Name of the team.")
@click.option("--email", help="Of the author.")
@click.option("--url", help="Of the publication or project.")
@click.option("--git-url", "git_urls", multiple=True, help="Of the code (may be repeated).")
@click.option("--database-version", help="Of the leaderboard's data set, as 12-12-2022.")
@click.option("--hardware", help="What the model was trained on.")
@store_option
@at_option
def leaderboard(
    name: str,
    path: Path | None,
    dataset: str | None,
    folder: Path | None,
    store_uri: str,
    at: str | None,
    **given: object,
) -> None:
    """Export a model's test predictions in the JARVIS-Leaderboard's format.

    \b
    Example:
      featurestore train leaderboard Tc_supercon_structure_7b
      featurestore train leaderboard Tc_supercon_structure_7b --contribution hybrid_ensemble \\
          --team lab --email a@lab.org --url https://doi.org/10.1039/D4DD00199K \\
          --git-url https://example.org/code --database-version 12-12-2022 --hardware "2 cores"
    """
    from featurestore.store import FeatureStore
    from train.analysis.contribution import Contributor, write_contribution
    from train.analysis.leaderboard import leaderboard_name, write_leaderboard
    from train.models import find_model

    if path is not None and not path.name.endswith(".csv.zip"):
        raise click.UsageError("The file's name ends in .csv.zip.")
    lacking = [f"--{one.removesuffix('s').replace('_', '-')}" for one in _NEEDED if not given[one]]
    if folder is not None and (lacking or path is not None):
        what = f"it needs {', '.join(lacking)}" if lacking else "it takes no -o"
        raise click.UsageError(f"--contribution names its files itself: {what}.")
    with FeatureStore.open(store_uri, at=at).session() as session:
        model = find_model(session, name)
        if folder is not None:
            by = Contributor(**given, day=datetime.now(UTC).date())  # type: ignore[arg-type]
            for written in write_contribution(session, model, folder, by, dataset):
                note(f"Wrote {written}")
            return
        expected = leaderboard_name(session, model, dataset)
        path = path or Path(expected)
        n = write_leaderboard(session, model, path)
    note(f"Wrote {n:,} predictions to {path}")
    if path.name != expected:
        note(f"Note: the leaderboard expects the name {expected}")
