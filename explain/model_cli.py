"""``featurestore explain segments``, ``words`` and ``report``: looking into stored models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from featurestore.cli.options import CONTEXT, format_option, store_option
from featurestore.view_request import FOLDS

if TYPE_CHECKING:
    from featurestore.store import FeatureStore
    from train.models import StoredModel


@click.command(context_settings=CONTEXT)
@click.option(
    "--model",
    "names",
    multiple=True,
    metavar="ID",
    help="Model id or its beginning (may be repeated); see: featurestore train list.",
)
@click.option("--property", "property_name", metavar="NAME", help="All models of this with both.")
@click.option("--split", metavar="NAME", help="All models of this split, structure and text.")
@click.option("--fold", type=click.Choice(FOLDS), default="test", show_default=True, help="Rows.")
@click.option(
    "--by",
    metavar="SQL",
    help="Groups of materials: a column of materials, as crystal_system, or an expression.",
)
@click.option(
    "--at-least",
    default=5,
    show_default=True,
    type=click.IntRange(min=1),
    help="Groups with fewer materials are put together.",
)
@click.option(
    "-o",
    "--output",
    "figure",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="PNG file for a chart; the models are then of one property.",
)
@store_option
@format_option
def segments(
    names: tuple[str, ...],
    property_name: str | None,
    split: str | None,
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
    from explain.segments import segment_effects, segments_table
    from explain.segments_figure import write_segments_figure
    from featurestore.errors import InvalidInputError
    from featurestore.store import FeatureStore
    from train.display import print_captioned

    if bool(names) == bool(property_name or split):
        raise click.UsageError("Name models with --model, or all of a --property or --split.")
    store = FeatureStore.open(store_uri)
    models = _chosen(store, names, property_name, split)
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
    print_captioned(segments_table(results), output_format, shared)
    if figure is not None:
        write_segments_figure(results, figure)
        click.echo(f"Wrote {figure}", err=True)


def _chosen(
    store: FeatureStore, names: Sequence[str], property_name: str | None, split: str | None
) -> list[StoredModel]:
    """The models named, or all of structure and full text of a property or split."""
    from featurestore.errors import MissingDataError
    from train.models import find_model, stored_models

    with store.session() as session:
        if names:
            found = [find_model(session, name) for name in names]
            return list({model.model_id: model for model in found}.values())
        models = [
            model
            for model in stored_models(session, property_name, split)
            if model.parameters.features == "structure+text" and model.parameters.variant == "full"
        ]
    if not models:
        raise MissingDataError(
            f"no model of structure and full text for property {property_name or 'any'}, split "
            f"{split or 'any'}; see: featurestore train list"
        )
    return models
