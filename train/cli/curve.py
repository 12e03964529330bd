"""``featurestore train curve``: errors against the epoch."""

from __future__ import annotations

from pathlib import Path

import click

from featurestore.cli.completion import stored
from featurestore.cli.options import CONTEXT, at_option, figure_option, store_option
from featurestore.output.notes import note


@click.command(context_settings=CONTEXT)
@click.argument("model", shell_complete=stored("models"))
@figure_option("PNG, SVG or PDF file for a chart.  [default: MODEL_curve.png]")
@store_option
@at_option
def curve(model: str, figure: Path | None, store_uri: str, at: str | None) -> None:
    """Plot a stored model's training and validation error against the epoch.

    MODEL is a model's id or its beginning. The curve of an ensemble is that of its networks.

    \b
    Example:
      featurestore train curve mbj_bandgap_structure -o curve.png
    """
    from featurestore.output.names import file_name
    from featurestore.store import FeatureStore
    from train.analysis.curve import write_loss_curve
    from train.models import find_model, stored_history

    with FeatureStore.open(store_uri, at=at).session() as session:
        stored = find_model(session, model)
        history = stored_history(session, stored.model_id)
    figure = figure or Path(file_name(stored.model_id, "curve", suffix=".png"))
    write_loss_curve(stored, history, figure)
    note(f"Wrote {figure}")
