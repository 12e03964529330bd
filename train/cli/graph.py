"""``featurestore train scratch`` and ``train source``: ALIGNN itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from featurestore.cli.options import (
    CONTEXT,
    cluster_options,
    count_option,
    folder_option,
    format_option,
    store_option,
    together,
)
from featurestore.output.notes import note
from train.cli.options import (
    device_option,
    limit_option,
    precision_option,
    property_option,
    property_source_option,
    seed_option,
)

#: The options of `GraphTraining`, under the names of its fields.
network_options = together(
    count_option("--epochs", 50, "Passes over the training rows."),
    count_option("--batch-size", 64, "Crystals in a step."),
    click.option(
        "--learning-rate",
        type=float,
        default=1e-3,
        show_default=True,
        help="The highest of the one-cycle schedule.",
    ),
    count_option("--alignn-layers", 4, "Convolutions on bonds and angles."),
    count_option("--gcn-layers", 4, "Convolutions on bonds alone."),
    count_option("--hidden-features", 256, "Width of the layers.", at_least=4),
    precision_option("Of matrix products."),
    device_option,
)


@click.command(context_settings=CONTEXT)
@property_option
@property_source_option
@click.option("--split", required=True, help="Split that gives the folds.")
@seed_option("Of weights and order.")
@network_options
@cluster_options
@store_option
@format_option
def scratch(
    property_name: str,
    property_source: str | None,
    split: str,
    seed: int,
    store_uri: str,
    output_format: str,
    **network: Any,
) -> None:
    """Train ALIGNN itself on a property, from the store's structures, as a baseline.

    On a cluster graphs are made; the network is trained here.

    \b
    Example:
      featurestore train scratch --property Tc_supercon --split paper --epochs 100
    """
    from featurestore.store import FeatureStore
    from featurestore.views.request import GRAPH, ViewRequest
    from train.cli.result import print_result
    from train.predictors.graph.scratch import Alignn
    from train.training import train_model

    recipe = Alignn(**network)
    store = FeatureStore.open(store_uri)
    view = store.view(
        ViewRequest(property_name, GRAPH, split=split, property_source=property_source)
    )
    print_result(train_model(store, view, recipe, seed), output_format)


@click.command(context_settings=CONTEXT)
@property_option
@property_source_option
@folder_option("Folder of the model; its name is the encoder's.", required=True)
@click.option("--split", help="A stored split. Default: a random 90/5/5, by structure.")
@limit_option
@seed_option("Of folds, weights and order.")
@network_options
@cluster_options
@store_option
def source(
    property_name: str,
    property_source: str | None,
    folder: Path,
    split: str | None,
    limit: int | None,
    seed: int,
    store_uri: str,
    **network: Any,
) -> None:
    """Train an ALIGNN source model on a property, to encode structures with.

    The state is kept after each epoch: the same command goes on after an interruption. On a cluster
    graphs are made; the network is trained here.

    \b
    Example:
      featurestore train source --property formation_energy_peratom --epochs 50 -o my-source
      featurestore ingest embeddings --encoder my-source
    """
    from featurestore.store import FeatureStore
    from train.predictors.graph.source import source_rows, train_source
    from train.predictors.graph.trainer import GraphTraining

    settings = GraphTraining(**network)
    store = FeatureStore.open(store_uri)
    arguments = {"property": property_name, "split": split, "limit": limit, "seed": seed}
    if property_source is not None:
        arguments["property_source"] = property_source
    with store.run("train source", arguments | {"settings": vars(settings)}) as run:
        rows = source_rows(
            store,
            property_name,
            settings,
            property_source=property_source,
            split=split,
            seed=seed,
            limit=limit,
        )
        model = train_source(rows, folder, settings, seed)
        run.counts = {fold: len(ids) for fold, ids in rows.material_ids.items()}
    if rows.left_out:
        example, failure = next(iter(rows.left_out.items()))
        note(
            f"Note: {len(rows.left_out):,} structures make no graph and were left out, for "
            f"example {example[:12]}: {failure.message}"
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
