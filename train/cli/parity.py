"""``featurestore train parity``: predictions against targets."""

from __future__ import annotations

from pathlib import Path

import click

from featurestore.cli.options import CONTEXT, at_option, figure_option, store_option
from featurestore.output.notes import note


@click.command(context_settings=CONTEXT)
@click.argument("names", nargs=-1, required=True, metavar="MODEL...")
@figure_option(required=True)
@store_option
@at_option
def parity(names: tuple[str, ...], figure: Path, store_uri: str, at: str | None) -> None:
    """Draw predicted against target on the test fold for chosen models, side by side.

    \b
    Example:
      featurestore train parity Tc_supercon_structure_7b Tc_supercon_structure_chemnlp_0c -o p.png
    """
    from featurestore.errors import InvalidInputError
    from featurestore.store import FeatureStore
    from train.analysis.ablation import ablation_rows, comparison_warnings
    from train.analysis.parity import write_parity_plot
    from train.models import find_models

    with FeatureStore.open(store_uri, at=at).session() as session:
        models = find_models(session, names)
        properties = sorted({model.parameters.property for model in models})
        if len(properties) > 1:
            raise InvalidInputError(
                f"one figure is for one property; these models are of {', '.join(properties)}"
            )
        rows = ablation_rows(session, models)
        write_parity_plot(session, rows, figure)
    for sentence in comparison_warnings(rows):
        note(f"Note: {sentence}")
    note(f"Wrote {figure}")
