"""``featurestore train groups``, ``parity``, ``leakage`` and ``leaderboard``: looking at models."""

from __future__ import annotations

from pathlib import Path

import click

from featurestore.cli.options import (
    CONTEXT,
    at_option,
    figure_option,
    format_option,
    store_option,
)
from featurestore.output.notes import note
from train.cli.options import groups_options, models_options
from train.model_request import ModelRequest


@click.command(context_settings=CONTEXT)
@models_options()
@groups_options(
    "What makes the groups: a column of materials, as prototype, or an expression over them.",
    by="crystal_system",
    at_least=5,
)
@figure_option()
@store_option
@at_option
@format_option
def groups(
    request: ModelRequest,
    by: str,
    at_least: int,
    figure: Path | None,
    store_uri: str,
    at: str | None,
    output_format: str,
) -> None:
    """Show the test error by group of materials, and where the best tenth of predictions lies.

    Models that differ only by their seed share a row: their errors are averaged for each material.
    best_10_share is the group's share of the 10 % of test materials that are predicted best, to be
    compared with its share of all; the bounds are a 95 % bootstrap interval over test materials.

    \b
    Example:
      featurestore train groups --property Tc_supercon --split paper --by prototype -o groups.png
    """
    from featurestore.store import FeatureStore
    from train.analysis.groups import group_errors, groups_table
    from train.analysis.groups_figure import write_groups_figure
    from train.display.printing import print_captioned
    from train.models import requested_models, seed_groups

    with FeatureStore.open(store_uri, at=at).session() as session:
        chosen = seed_groups(requested_models(session, request))
        found = group_errors(session, chosen, by, at_least)
    print_captioned(groups_table(found), output_format, ["property", "model", "seeds", "unit"])
    if figure is not None:
        write_groups_figure(found, by, figure)
        note(f"Wrote {figure}")
