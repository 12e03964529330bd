"""``featurestore explain``: which part of a text a model relies on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from explain.model_cli import report, segments, words
from featurestore.cli.options import CONTEXT, format_option, store_option
from featurestore.view_request import FOLDS

if TYPE_CHECKING:
    import pyarrow as pa

    from explain.tags import TagEffects
    from featurestore.store import FeatureStore
    from train.models import StoredModel


@click.group(context_settings=CONTEXT)
def explain() -> None:
    """Say which part of a text, and of a structure, a model relies on."""


explain.add_command(segments)
explain.add_command(words)
explain.add_command(report)


@explain.command(context_settings=CONTEXT)
@click.option(
    "--model",
    "names",
    multiple=True,
    metavar="ID",
    help="Model id or its beginning (may be repeated); see: featurestore train list.",
)
@click.option("--property", "property_name", metavar="NAME", help="All hybrid models of this.")
@click.option("--split", metavar="NAME", help="All hybrid models of this split.")
@click.option("--fold", type=click.Choice(FOLDS), default="test", show_default=True, help="Rows.")
@click.option(
    "--tagger",
    type=click.Choice(["store", "reference"]),
    default="store",
    show_default=True,
    help="One tag a sentence, or the overlapping tags of the reference implementation.",
)
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("reports"),
    show_default=True,
    help="Folder for the heatmap.",
)
@store_option
@format_option
def tags(
    names: tuple[str, ...],
    property_name: str | None,
    split: str | None,
    fold: str,
    tagger: str,
    folder: Path,
    store_uri: str,
    output_format: str,
) -> None:
    """Erase each tag's sentences and see how much worse the model, as it is, predicts.

    Name models, or a property, a split or both for all their models of structure and full text.
    The difference is the MAE without the tag minus the MAE with the full text; models that differ
    only by their seed share a row, with the mean over them and the standard deviation.

    \b
    Example:
      featurestore explain tags --property Tc_supercon --split paper -o reports
    """
    from explain.heatmap import write_tag_heatmap
    from explain.tags import tag_effects
    from featurestore.store import FeatureStore
    from train.display import print_captioned

    if bool(names) == bool(property_name or split):
        raise click.UsageError("Name models with --model, or all of a --property or --split.")
    store = FeatureStore.open(store_uri)
    models = _chosen(store, names, property_name, split)
    results = tag_effects(store, models, fold=fold, tagger=tagger)
    shared = [
        "property",
        "text_source",
        "features",
        "encoders",
        "split",
        "fold",
        "n",
        "seeds",
        "unit",
    ]
    print_captioned(_table(results), output_format, shared)
    path = folder / f"tags_{property_name or 'models'}_{fold}_{tagger}.png"
    write_tag_heatmap(results, path)
    click.echo(f"Wrote {path}", err=True)


def _chosen(
    store: FeatureStore, names: Sequence[str], property_name: str | None, split: str | None
) -> list[StoredModel]:
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


def _table(results: Sequence[TagEffects]) -> pa.Table:
    import pyarrow as pa

    rows = []
    for result in results:
        model, p = result.models[0], result.models[0].parameters
        for effect in result.effects:
            row = {
                "property": p.property,
                "text_source": model.text_source,
                "features": p.features,
                "encoders": model.encoders,
                "split": p.split,
                "fold": result.fold,
                "n": result.n,
                "seeds": len(result.models),
                "tag": effect.tag,
                "n_with_tag": effect.n_with_tag,
                "mae_full": effect.mae,
                "mae_erased": effect.erased_mae,
                "difference": effect.comprehensiveness,
                "difference_std": effect.comprehensiveness_std,
                "unit": p.unit,
            }
            rows.append(row)
    table = pa.Table.from_pylist(rows)
    index = table.column_names.index("difference_std")
    return table.set_column(index, "difference_std", table["difference_std"].cast(pa.float64()))
