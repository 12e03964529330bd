"""``featurestore train scratch`` and ``train source``: ALIGNN itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from featurestore.cli.options import CONTEXT, format_option, store_option

Command = TypeVar("Command", bound=Callable[..., Any])

_NETWORK_OPTIONS = (
    click.option(
        "--epochs",
        type=click.IntRange(1),
        default=50,
        show_default=True,
        help="Passes over the training rows.",
    ),
    click.option(
        "--batch-size",
        type=click.IntRange(1),
        default=64,
        show_default=True,
        help="Crystals in a step.",
    ),
    click.option(
        "--learning-rate",
        type=float,
        default=1e-3,
        show_default=True,
        help="The highest of the one-cycle schedule.",
    ),
    click.option(
        "--alignn-layers",
        type=click.IntRange(1),
        default=4,
        show_default=True,
        help="Convolutions on bonds and angles.",
    ),
    click.option(
        "--gcn-layers",
        type=click.IntRange(1),
        default=4,
        show_default=True,
        help="Convolutions on bonds alone.",
    ),
    click.option(
        "--hidden-features",
        type=click.IntRange(4),
        default=256,
        show_default=True,
        help="Width of the layers.",
    ),
    click.option(
        "--precision",
        type=click.Choice(["float32", "bfloat16"]),
        default="float32",
        show_default=True,
        help="Of matrix products.",
    ),
    click.option("--device", default="cpu", show_default=True, help="cpu or cuda."),
)


def network_options(command: Command) -> Command:
    """Add the options of `GraphTraining`, under the names of its fields."""
    for option in reversed(_NETWORK_OPTIONS):
        command = option(command)
    return command


@click.command(context_settings=CONTEXT)
@click.option("--property", "property_name", required=True, metavar="NAME", help="What to predict.")
@click.option("--split", required=True, help="Split that gives the folds.")
@click.option("--seed", default=0, show_default=True, help="Of weights and order.")
@network_options
@store_option
@format_option
def scratch(
    property_name: str,
    split: str,
    seed: int,
    store_uri: str,
    output_format: str,
    **network: Any,
) -> None:
    """Train ALIGNN itself on a property, from the store's structures, as a baseline.

    \b
    Example:
      featurestore train scratch --property Tc_supercon --split paper --epochs 100
    """
    from featurestore.store import FeatureStore
    from featurestore.view_request import GRAPH, ViewRequest
    from train.graph.scratch import Alignn, view_graphs
    from train.result import print_result
    from train.training import train_model

    recipe = Alignn(**network)
    store = FeatureStore.open(store_uri)
    view = store.view(ViewRequest(property_name, GRAPH, split=split))
    graphs = view_graphs(store, view, recipe)
    print_result(train_model(store, view, recipe, seed, graphs), output_format)


@click.command(context_settings=CONTEXT)
@click.option("--property", "property_name", required=True, metavar="NAME", help="What to learn.")
@click.option(
    "-o",
    "--output",
    "folder",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the model; its name is the encoder's.",
)
@click.option("--split", help="A stored split. Default: a random 90/5/5, by structure.")
@click.option("--limit", type=click.IntRange(20), help="Only so many structures, at random.")
@click.option("--seed", default=0, show_default=True, help="Of folds, weights and order.")
@network_options
@store_option
def source(
    property_name: str,
    folder: Path,
    split: str | None,
    limit: int | None,
    seed: int,
    store_uri: str,
    **network: Any,
) -> None:
    """Train an ALIGNN source model on a property, to encode structures with.

    The state is kept after each epoch: the same command goes on after an interruption.

    \b
    Example:
      featurestore train source --property formation_energy_peratom --epochs 50 -o my-source
      featurestore ingest embeddings --encoder my-source
    """
    from featurestore.store import FeatureStore
    from train.graph.source import source_rows, train_source
    from train.graph.trainer import GraphTraining

    settings = GraphTraining(**network)
    store = FeatureStore.open(store_uri)
    arguments = {"property": property_name, "split": split, "limit": limit, "seed": seed}
    with store.run("train source", arguments | {"settings": vars(settings)}) as run:
        rows = source_rows(store, property_name, settings, split=split, seed=seed, limit=limit)
        model = train_source(rows, folder, settings, seed)
        run.counts = {fold: len(ids) for fold, ids in rows.material_ids.items()}
    if rows.left_out:
        example, failure = next(iter(rows.left_out.items()))
        click.echo(
            f"Note: {len(rows.left_out):,} structures make no graph and were left out, for "
            f"example {example[:12]}: {failure.message}",
            err=True,
        )
    counts = ", ".join(f"{len(ids):,} {fold}" for fold, ids in rows.material_ids.items())
    click.echo(f"{property_name}: {counts}")
    for fold, entry in model.metrics["folds"].items():
        if entry["n"]:
            click.echo(f"  {fold} MAE {entry['mae']:.4g} {rows.unit}")
    click.echo(
        f"Trained {model.metrics['epochs']} epochs, the weights of epoch "
        f"{model.metrics['best_epoch']} kept in {folder}."
    )
    click.echo(f"Encode with it: featurestore ingest embeddings --encoder {folder}")
