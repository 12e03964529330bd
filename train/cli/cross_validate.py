"""``featurestore train cross-validate`` and ``final``: training where there are few materials."""

from __future__ import annotations

import click

from featurestore.cli.options import (
    CONTEXT,
    cluster_options,
    count_option,
    format_option,
    set_option,
    store_option,
    together,
)
from featurestore.output.notes import note
from featurestore.views.request import ViewRequest
from train.cli.options import asked_for, on_view_options

_jobs_options = together(
    count_option("--jobs", 1, "Worker processes for the models of the folds, one thread each."),
    cluster_options,
)


@click.command("cross-validate", context_settings=CONTEXT)
@click.argument("predictor")
@set_option("predictors")
@on_view_options("Of everything random in each training.", vectors=False)
@click.option(
    "--against",
    metavar="SPLIT",
    help="A cross-validation that is trained, too: what being left out costs against it.",
)
@_jobs_options
@store_option
@format_option
def cross_validate(
    predictor: str,
    settings: tuple[str, ...],
    request: ViewRequest,
    seed: int,
    against: str | None,
    jobs: int,
    store_uri: str,
    output_format: str,
) -> None:
    """Train PREDICTOR on every split of a cross-validation, and store all models.

    --split names a cross-validation, or the splits of 'ingest splits --leave-out', which say what
    extrapolation costs. Each material has the prediction of a model that did not learn from it. The
    same command goes on where it stopped, and finds the models that are there.

    \b
    Example:
      featurestore ingest splits --folds 5 --property mbj_bandgap --name cv5
      featurestore train cross-validate ensemble --property mbj_bandgap --split cv5 \\
          --structure-encoder alignn-ff
    """
    from featurestore.output.rows import print_table
    from train.crossfit.fold_models import cross_validate as train_all

    store, recipe, request = asked_for(predictor, settings, request, store_uri)
    found = train_all(store, request, recipe, seed, against=against, jobs=jobs, said=_Once())
    print_table(found.short if output_format == "table" else found.table, output_format)
    for sentence in found.sentences():
        note(sentence)


@click.command(context_settings=CONTEXT)
@click.argument("predictor")
@set_option("predictors")
@on_view_options("Of everything random in each training.", vectors=False)
@_jobs_options
@store_option
@format_option
def final(
    predictor: str,
    settings: tuple[str, ...],
    request: ViewRequest,
    seed: int,
    jobs: int,
    store_uri: str,
    output_format: str,
) -> None:
    """Train PREDICTOR on all materials of a cross-validation, and store it.

    Its error, under the fold 'test', is the cross-validated one: what is stored of a material is
    the prediction of the model that did not learn from it. 'featurestore predict' makes its
    intervals by CV+, for which every material calibrates. Models of the folds that lack are
    trained first.

    \b
    Example:
      featurestore ingest splits --folds 5 --property mbj_bandgap --name cv5
      featurestore train final ensemble --property mbj_bandgap --split cv5 \\
          --structure-encoder alignn-ff
    """
    from train.cli.result import print_result
    from train.crossfit.final import train_final

    store, recipe, request = asked_for(predictor, settings, request, store_uri)
    result = train_final(store, request, recipe, seed, jobs=jobs, said=_Once())
    print_result(result, output_format)
    crossed = result.model.cross_validation
    note(
        f"'test' is out of fold, by {crossed['folds']} models of {crossed['split']!r}; 'train' are "
        "the rows it learned from."
    )


class _Once:
    """Prints each note once: the folds of a cross-validation have much in common."""

    def __init__(self) -> None:
        self.said: set[str] = set()

    def __call__(self, sentence: str) -> None:
        if sentence not in self.said:
            self.said.add(sentence)
            note(f"Note: {sentence}")
