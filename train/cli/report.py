"""``featurestore train report``: the ablation table and parity plots."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import click

from featurestore.cli.options import (
    CONTEXT,
    at_option,
    folder_option,
    format_option,
    store_option,
)
from train.cli.options import model_filters
from train.model_request import ModelRequest


@click.command(context_settings=CONTEXT)
@model_filters()
@folder_option("Folder for the parity plots.", default=Path("reports"), show_default=True)
@store_option
@at_option
@format_option
def report(
    request: ModelRequest,
    folder: Path,
    store_uri: str,
    at: str | None,
    output_format: str,
) -> None:
    """Print the ablation table and write a parity plot for each property and split.

    A row stands for all seeds of one model: the test MAE is their mean, test_mae_std their sample
    standard deviation, or 'deterministic' where the seeds change nothing. Only rows with the same
    letter under 'materials' were trained and tested on the same materials.

    \b
    Example:
      featurestore train report --property mbj_bandgap -o reports
    """
    import pyarrow as pa

    from featurestore.output.names import file_name
    from featurestore.store import FeatureStore
    from train.analysis.ablation import ablation_rows, ablation_table, comparison_warnings
    from train.analysis.parity import write_parity_plot
    from train.display.printing import print_captioned
    from train.display.rounding import spread_of_seeds
    from train.models import requested_models

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
            place = table.column_names.index("test_mae_std")
            said = [spread_of_seeds(row.test_mae or 0.0, row.test_mae_std) for row in rows]
            table = table.set_column(place, "test_mae_std", pa.array(said, pa.string()))
        print_captioned(table, output_format, shared)
        for sentence in comparison_warnings(rows):
            click.echo(f"Note: {sentence}", err=True)
        for (name, of_split), group in groupby(
            rows, key=lambda row: (row.first.parameters.property, row.first.parameters.split)
        ):
            path = folder / file_name("parity", name, of_split, suffix=".png")
            write_parity_plot(session, list(group), path)
            click.echo(f"Wrote {path}", err=True)
