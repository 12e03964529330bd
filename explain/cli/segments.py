"""``featurestore explain segments``: what a model loses without a part of its features."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from explain.cli.options import also_by_options
from featurestore.cli.options import (
    CONTEXT,
    figure_option,
    fold_option,
    format_option,
    store_option,
)
from featurestore.output.notes import note
from train.cli.options import models_options

if TYPE_CHECKING:
    from train.model_request import ModelRequest


@click.command(context_settings=CONTEXT)
@models_options("hybrid models")
@fold_option
@also_by_options(at_least=5)
@figure_option("PNG, SVG or PDF file for a chart; the models are then of one property.")
@store_option
@format_option
def segments(
    request: ModelRequest,
    fold: str,
    by: str | None,
    at_least: int,
    figure: Path | None,
    store_uri: str,
    output_format: str,
) -> None:
    """Replace the atom, bond or angle segment, or the text vector, by its training mean.

    The difference is the MAE without the part minus the MAE with it, with a 95 % bootstrap interval
    over materials; p_holm is of a sign-flip test, corrected for the number of rows of a model;
    change is the mean absolute change of the prediction. Models that differ only by their seed
    share a row: their errors are averaged for each material.

    \b
    Example:
      featurestore explain segments --property Tc_supercon --split paper -o segments.png
      featurestore explain segments --model Tc_supercon_structure_7b --by crystal_system
    """
    from explain.segments.analysis import segment_effects, segments_table
    from explain.segments.figure import write_segments_figure
    from featurestore.errors import InvalidInputError
    from featurestore.store import FeatureStore
    from train.display.printing import print_captioned, with_readable_spreads
    from train.models import hybrid_models

    store = FeatureStore.open(store_uri)
    models = hybrid_models(store, request)
    properties = sorted({model.parameters.property for model in models})
    if figure is not None and len(properties) > 1:
        raise InvalidInputError(
            f"one chart is for one property; these models are of {', '.join(properties)}"
        )
    results = segment_effects(store, models, fold=fold, by=by, at_least=at_least)
    shared = [
        *("property", "text_source", "features", "encoders", "predictor"),
        *("split", "fold", "seeds", "group", "unit"),
    ]
    table = segments_table(results)
    if output_format == "table":
        table = with_readable_spreads(table, "seeds_std", "mae_full")
    print_captioned(table, output_format, shared)
    if figure is not None:
        write_segments_figure(results, figure)
        note(f"Wrote {figure}")
