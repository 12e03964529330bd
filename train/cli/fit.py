"""``featurestore train fit`` with any predictor; ``mlp``, ``ensemble``, ``gbt`` are short forms."""

from __future__ import annotations

from typing import Any

import click

from featurestore.cli.options import (
    CONTEXT,
    count_option,
    format_option,
    set_option,
    store_option,
)
from featurestore.errors import FeatureStoreError
from featurestore.views.request import ViewRequest
from train.cli.options import asked_for, on_view_options


class _WithPredictors(click.Command):
    """A command whose help lists the predictors that installed packages register."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """A line for each predictor; of one that cannot be used, what is wrong with it."""
        from train.predictors.registry import predictor_part, recipe_names

        rows = []
        for name in recipe_names():
            try:
                rows.append((name, predictor_part(name).summary))
            except FeatureStoreError as error:
                rows.append((name, f"cannot be used: {error}"))
        with formatter.section("Predictors"):
            formatter.write_dl(rows)


@click.command(cls=_WithPredictors, context_settings=CONTEXT)
@click.argument("predictor")
@set_option("predictors")
@on_view_options("Of everything random in the training.", vectors=False)
@store_option
@format_option
def fit(
    predictor: str,
    settings: tuple[str, ...],
    request: ViewRequest,
    seed: int,
    store_uri: str,
    output_format: str,
) -> None:
    """Train any predictor, and store it with its predictions.

    PREDICTOR is one of those below. The settings of scikit-learn's regressors and classifiers are
    the parameters of the class that 'estimator' names. The same command on the same rows finds the
    model that is there and trains nothing.

    \b
    Example:
      featurestore train fit sklearn --set estimator=SVR --set C=10 --set standardise=true \\
          --property mbj_bandgap --split paper --structure-encoder alignn-ff
    """
    from train.cli.result import print_result
    from train.training import train_model

    store, recipe, request = asked_for(predictor, settings, request, store_uri)
    print_result(train_model(store, store.view(request), recipe, seed), output_format)


@click.command(context_settings=CONTEXT)
@on_view_options("Of weights and shuffling.")
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


@click.command(context_settings=CONTEXT)
@on_view_options("Of weights, shuffling and subsets.")
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


@click.command(context_settings=CONTEXT)
@on_view_options("Of the features that splits look at.")
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


def _train_and_print(
    predictor: str,
    changes: dict[str, Any],
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
    from train.cli.result import print_result
    from train.predictors.registry import make_recipe
    from train.training import train_model

    recipe = make_recipe(predictor, changes, classes=bool(view.parameters.classes))
    result = train_model(store, view, recipe, seed)
    print_result(result, output_format)
