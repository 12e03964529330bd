"""``featurestore train report``: the ablation table and parity plots."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import click

from featurestore.cli.options import (
    CONTEXT,
    at_option,
    figure_format_option,
    folder_option,
    format_option,
    store_option,
)
from featurestore.output.notes import note
from train.cli.options import model_filters
from train.model_request import ModelRequest


@click.command(context_settings=CONTEXT)
@model_filters()
@folder_option("Folder for the plots.", default=Path("reports"), show_default=True)
@figure_format_option
@store_option
@at_option
@format_option
def report(
    request: ModelRequest,
    folder: Path,
    suffix: str,
    store_uri: str,
    at: str | None,
    output_format: str,
) -> None:
    """Print the ablation table and write a plot for each property and split.

    A row stands for all seeds of one model: the test MAE is their mean, test_mae_std their sample
    standard deviation, or 'deterministic' where the seeds change nothing. A property of classes has
    the Brier score in place of the MAE, and a plot of how often its probabilities come true. Only
    rows with the same letter under 'materials' were trained and tested on the same materials.

    \b
    Example:
      featurestore train report --property mbj_bandgap -o reports
    """
    from featurestore.errors import MissingDataError
    from featurestore.output.names import file_name
    from featurestore.store import FeatureStore
    from train.analysis.ablation import ablation_rows, ablation_table, comparison_warnings
    from train.analysis.parity import write_parity_plot
    from train.analysis.reliability import write_reliability_plot
    from train.display.printing import print_captioned, with_readable_spreads
    from train.models import requested_models
    from train.tasks.columns import errors_of

    with FeatureStore.open(store_uri, at=at).session() as session:
        models = requested_models(session, request)
        rows = ablation_rows(session, models)
        shared = [
            "property",
            "split",
            "text_source",
            "structure_encoder",
            "text_encoder",
            "variant",
            "predictor",
            "unit",
        ]
        table = ablation_table(rows)
        if output_format == "table":
            for error in errors_of(models):
                table = with_readable_spreads(table, f"test_{error}_std", f"test_{error}")
        print_captioned(table, output_format, shared)
        for sentence in comparison_warnings(rows):
            note(f"Note: {sentence}")
        for (name, of_split), group in groupby(
            rows, key=lambda row: (row.first.parameters.property, row.first.parameters.split)
        ):
            drawn = list(group)
            classes = bool(drawn[0].first.parameters.classes)
            what = "reliability" if classes else "parity"
            path = folder / file_name(what, name, of_split, suffix=suffix)
            try:
                if classes:
                    write_reliability_plot(drawn, path)
                else:
                    write_parity_plot(session, drawn, path)
            except MissingDataError as error:
                note(f"Note: {name}, {of_split}: {error}")
            else:
                note(f"Wrote {path}")
