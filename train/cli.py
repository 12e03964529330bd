"""``featurestore train``: train predictors, list them, and compare them."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import click

from featurestore.cli.options import (
    CONTEXT,
    at_option,
    count_option,
    figure_option,
    folder_option,
    format_option,
    model_filters,
    store_option,
)
from featurestore.model_request import ModelRequest
from featurestore.view_request import ViewRequest
from train.analysis_cli import groups, leaderboard, leakage, parity
from train.benchmark.cli import benchmark
from train.graph.cli import scratch, source
from train.options import on_vectors_options


@click.group(context_settings=CONTEXT)
def train() -> None:
    """Train predictors on training views."""


train.add_command(scratch)
train.add_command(source)
train.add_command(benchmark)
train.add_command(groups)
train.add_command(parity)
train.add_command(leakage)
train.add_command(leaderboard)


@train.command(context_settings=CONTEXT)
@on_vectors_options("Of weights and shuffling.")
@count_option("--max-epochs", 2000, "Most passes over the training rows.")
@count_option("--patience", 100, "Epochs without a lower validation error before it stops.")
@store_option
@format_option
def mlp(
    request: ViewRequest,
    seed: int,
    max_epochs: int,
    patience: int,
    store_uri: str,
    output_format: str,
) -> None:
    """Train the paper's predictor, a residual MLP, and store it with its predictions.

    The same command on the same rows finds the model that is there and trains nothing.

    \b
    Example:
      featurestore train mlp --property mbj_bandgap --split paper \\
          --structure-encoder alignn-ff --text robocrystallographer --text-encoder minilm
    """
    changes = {"max_epochs": max_epochs, "patience": patience}
    _train_and_print("mlp", changes, request, seed, store_uri, output_format)


@train.command(context_settings=CONTEXT)
@on_vectors_options("Of weights, shuffling and subsets.")
@count_option("--max-epochs", 40, "Passes of the networks over the training rows.")
@store_option
@format_option
def ensemble(
    request: ViewRequest, seed: int, max_epochs: int, store_uri: str, output_format: str
) -> None:
    """Train our predictor, a Gaussian process blended with small networks, and store it.

    A rehearsal on the training rows lets the validation rows choose and calibrate; the model then
    learns from both. What is stored of validation rows is the rehearsal's. Every prediction gets a
    standard deviation and a 90 % interval; their coverage of the test fold is printed. The same
    command on the same rows finds the model that is there.

    \b
    Example:
      featurestore train ensemble --property mbj_bandgap --split paper \\
          --structure-encoder alignn-ff --text robocrystallographer --text-encoder minilm
    """
    changes = {"epochs": max_epochs}
    _train_and_print("ensemble", changes, request, seed, store_uri, output_format)


@train.command(context_settings=CONTEXT)
@on_vectors_options("Of the features that splits look at.")
@count_option("--max-trees", 2000, "Most trees.")
@store_option
@format_option
def gbt(
    request: ViewRequest, seed: int, max_trees: int, store_uri: str, output_format: str
) -> None:
    """Train gradient-boosted trees, the baseline on any vectors, and store them.

    On the vectors of the encoder 'matminer' they are the paper's baseline of hand-made features.

    \b
    Example:
      featurestore train gbt --property mbj_bandgap --split paper --structure-encoder matminer
    """
    _train_and_print("gbt", {"max_epochs": max_trees}, request, seed, store_uri, output_format)


@train.command(context_settings=CONTEXT)
@click.argument("model")
@figure_option("PNG file for a chart.  [default: MODEL_curve.png]")
@store_option
@at_option
def curve(model: str, figure: Path | None, store_uri: str, at: str | None) -> None:
    """Plot a stored model's training and validation error against the epoch.

    MODEL is a model's id or its beginning. The curve of an ensemble is that of its networks.

    \b
    Example:
      featurestore train curve mbj_bandgap_structure -o curve.png
    """
    from featurestore.store import FeatureStore
    from train.curve import write_loss_curve
    from train.models import find_model, stored_history

    with FeatureStore.open(store_uri, at=at).session() as session:
        stored = find_model(session, model)
        history = stored_history(session, stored.model_id)
    figure = figure or Path(f"{stored.model_id}_curve.png")
    write_loss_curve(stored, history, figure)
    click.echo(f"Wrote {figure}", err=True)


@train.command("list", context_settings=CONTEXT)
@model_filters()
@store_option
@at_option
@format_option
def list_models(request: ModelRequest, store_uri: str, at: str | None, output_format: str) -> None:
    """List the stored models, oldest first.

    \b
    Example:
      featurestore train list --property mbj_bandgap --where "predictor = 'mlp'" --format csv
    """
    import pyarrow as pa

    from featurestore.store import FeatureStore
    from train.display import predictor_label, print_captioned
    from train.models import stored_models

    with FeatureStore.open(store_uri, at=at).session() as session:
        models = stored_models(session, request.property, request.split, request.where)
    columns = {
        "model_id": [model.model_id for model in models],
        "predictor": [predictor_label(model) for model in models],
        "property": [model.parameters.property for model in models],
        "features": [model.parameters.features for model in models],
        "text_source": [model.text_source for model in models],
        "variant": [model.parameters.variant for model in models],
        "encoders": [model.encoders for model in models],
        "split": [model.parameters.split for model in models],
        "seed": [model.seed for model in models],
        "epochs": [model.metrics["epochs"] for model in models],
        "n_test": [model.metrics["folds"]["test"]["n"] for model in models],
        "test_mae": [model.metrics["folds"]["test"]["mae"] for model in models],
        "unit": [model.parameters.unit for model in models],
    }
    shared = [
        "predictor",
        "property",
        "features",
        "text_source",
        "variant",
        "encoders",
        "split",
        "unit",
    ]
    print_captioned(pa.table(columns), output_format, shared)


@train.command(context_settings=CONTEXT)
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
    standard deviation. Only rows with the same letter under 'materials' were trained and tested
    on the same materials.

    \b
    Example:
      featurestore train report --property mbj_bandgap -o reports
    """
    from featurestore.store import FeatureStore
    from train.ablation import ablation_rows, ablation_table, comparison_warnings
    from train.display import print_captioned
    from train.models import requested_models
    from train.parity import write_parity_plot

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
        print_captioned(ablation_table(rows), output_format, shared)
        for sentence in comparison_warnings(rows):
            click.echo(f"Note: {sentence}", err=True)
        for (name, of_split), group in groupby(
            rows, key=lambda row: (row.first.parameters.property, row.first.parameters.split)
        ):
            path = folder / f"parity_{name}_{of_split}.png"
            write_parity_plot(session, list(group), path)
            click.echo(f"Wrote {path}", err=True)


def _train_and_print(
    predictor: str,
    changes: dict[str, int],
    request: ViewRequest,
    seed: int,
    store_uri: str,
    output_format: str,
) -> None:
    from featurestore.store import FeatureStore

    if request.split is None:
        raise click.UsageError("Name a --split: training needs train, val and test folds.")
    store = FeatureStore.open(store_uri)
    view = store.view(request)
    from train.recipes import make_recipe
    from train.result import print_result
    from train.training import train_model

    result = train_model(store, view, make_recipe(predictor, changes), seed)
    print_result(result, output_format)
