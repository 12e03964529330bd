"""``featurestore screen replay``: campaigns on data whose targets are known."""

from __future__ import annotations

from pathlib import Path

import click

from featurestore.cli.options import (
    CONTEXT,
    at_option,
    count_option,
    figure_option,
    format_option,
    output_option,
    store_option,
    view_options,
)
from featurestore.output.notes import note
from featurestore.views.request import ViewRequest
from train.screening.names import REPLAYED


@click.command(context_settings=CONTEXT)
@click.argument("property_name", metavar="PROPERTY")
@view_options
@count_option("--known", 50, "Random materials whose target is known at the start.", at_least=10)
@count_option("--picks", 100, "Materials that are picked in all.")
@count_option("--batch", 10, "Materials that are picked at once.")
@count_option("--starts", 5, "Random starts, the same for all rules.", at_least=2)
@click.option(
    "--top", type=click.IntRange(1), help="How many of the best are sought.  [default: 10]"
)
@click.option(
    "--class",
    "classes",
    multiple=True,
    help="Of a property of classes the one whose materials are sought (repeatable).",
)
@click.option("--smallest", is_flag=True, help="Seek the smallest values, not the largest.")
@click.option(
    "--rule",
    "rules",
    multiple=True,
    type=click.Choice(REPLAYED),
    help="A rule to pick by (repeatable). Default: expected-improvement (of classes upper-bound), "
    "greedy and random.",
)
@figure_option("PNG, SVG or PDF file: what is found against the picks.", "--figure")
@output_option
@format_option
@store_option
@at_option
def replay(
    request: ViewRequest,
    known: int,
    picks: int,
    batch: int,
    starts: int,
    top: int | None,
    classes: tuple[str, ...],
    smallest: bool,
    rules: tuple[str, ...],
    figure: Path | None,
    output: Path | None,
    output_format: str,
    store_uri: str,
    at: str | None,
) -> None:
    """Replay campaigns that seek the best values of PROPERTY, or a class of it, where known.

    From random known materials a Gaussian process learns the stored vectors, a rule picks a batch,
    its targets become known, and so on. Printed is how many of the ten best of the pool each rule
    found, or how many materials of the class, against picking at random and against picking what is
    predicted best. Nothing is stored.

    \b
    Example:
      featurestore screen replay Tc_supercon --structure-encoder alignn-ff --known 50 --picks 100
      featurestore screen replay metal --structure-encoder alignn-ff --class true
    """
    from featurestore.output.rows import print_table, write_table
    from featurestore.store import FeatureStore
    from train.screening.campaigns import CampaignPlan
    from train.screening.replay import replay as replayed
    from train.screening.replay_figure import write_replay_figure

    plan = CampaignPlan(known, picks, batch, starts, top, smallest, classes)
    view = FeatureStore.open(store_uri, at=at).view(request)
    found = replayed(view, plan, rules)
    if output is not None:
        write_table(found.table, output)
        note(f"{found.table.num_rows:,} picks written to {output}")
    else:
        print_table(found.summary, output_format)
    if figure is not None:
        write_replay_figure(found, figure)
        note(f"Wrote {figure}")
    for line in found.remarks():
        note(f"Note: {line}")
