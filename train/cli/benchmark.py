"""``featurestore train benchmark``: many models, one table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from featurestore.cli.options import (
    CONTEXT,
    cluster_options,
    count_option,
    figure_option,
    formats_option,
    store_option,
)
from featurestore.errors import FeatureStoreError
from featurestore.output.notes import note
from featurestore.views.request import FEATURES
from train.cli.options import property_source_option

if TYPE_CHECKING:
    from collections.abc import Mapping

    from featurestore.failure import Failure
    from train.benchmark.grid import Cell

_SHOWN_FAILURES = 10
_FORMATS = ("table", "markdown", "csv", "json", "ndjson")


class CellsFailedError(FeatureStoreError):
    """Some models of a benchmark could not be had."""


@click.command(context_settings=CONTEXT)
@click.option(
    "--property",
    "properties",
    multiple=True,
    required=True,
    metavar="NAME",
    help="What to predict.",
)
@click.option("--split", required=True, metavar="NAME", help="Split that gives the folds.")
@click.option(
    "--features",
    multiple=True,
    type=click.Choice(FEATURES),
    help="Which vectors to take. Default: all that the encoders named allow.",
)
@click.option("--text", "text_sources", multiple=True, metavar="SOURCE", help="Text source.")
@click.option(
    "--structure-encoder",
    "structure_encoders",
    multiple=True,
    metavar="NAME",
    help="Structure encoder.",
)
@click.option(
    "--text-encoder", "text_encoders", multiple=True, metavar="NAME", help="Text encoder."
)
@click.option(
    "--feature-set",
    "feature_sets",
    multiple=True,
    metavar="NAME",
    help="A stored feature set; see: featurestore features list.",
)
@click.option(
    "--reference",
    "reference_set",
    metavar="NAME",
    help="The feature set with which the others are compared. Default: the first.",
)
@click.option("--where", metavar="SQL", help="Only materials for which this condition holds.")
@click.option(
    "--predictor",
    "predictors",
    multiple=True,
    default=("mlp",),
    show_default=True,
    metavar="NAME",
    help="Any of 'featurestore parts predictors', or matminer (boosted trees on the encoder "
    "'matminer'). Those that read structures (alignn) or nothing (mean, median) are not combined "
    "with features. Others are compared with the first that takes vectors.",
)
@click.option("--seed", "seeds", multiple=True, type=int, metavar="N", help="A seed.")
@click.option(
    "--seeds",
    "n_seeds",
    type=click.IntRange(min=1),
    metavar="N",
    help="The seeds 0 to N-1. Default: 0 alone.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="PREDICTOR.NAME=VALUE",
    help="A predictor's setting other than its default, as mlp.max_epochs=50.",
)
@property_source_option
@count_option("--jobs", 1, "Worker processes.")
@click.option("--no-train", is_flag=True, help="Show the models that are stored, train none.")
@click.option(
    "--paper",
    "published_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="CSV file of published errors to show beside: property, features, text_source, model, "
    "test_mae.",
)
@figure_option()
@formats_option(_FORMATS, "How rows are printed; csv, json and ndjson have every number.")
@cluster_options
@store_option
def benchmark(
    properties: tuple[str, ...],
    split: str,
    features: tuple[str, ...],
    text_sources: tuple[str, ...],
    structure_encoders: tuple[str, ...],
    text_encoders: tuple[str, ...],
    feature_sets: tuple[str, ...],
    reference_set: str | None,
    where: str | None,
    predictors: tuple[str, ...],
    seeds: tuple[int, ...],
    n_seeds: int | None,
    settings: tuple[str, ...],
    property_source: str | None,
    jobs: int,
    no_train: bool,
    published_file: Path | None,
    figure: Path | None,
    output_format: str,
    store_uri: str,
) -> None:
    """Train every combination that is missing, and compare all on the same test materials.

    Options that name something may be repeated; every combination is one model for each seed.
    Where feature sets lack different materials, all are trained and tested on those that every
    set has. What cannot be trained is named at the end (exit code 1) and the rest is shown. Run
    the same command again after an interruption.

    MAE ± std is the mean and the standard deviation over seeds; the interval is a bootstrap over
    test materials. 'text gains' is by how much the MAE falls when the text is added to the
    structure, its p is that of a paired sign-flip test, corrected for all comparisons shown.

    \b
    Example:
      featurestore train benchmark --property slme --property Tc_supercon --split paper \\
          --structure-encoder alignn-ff --text chemnlp --text robocrystallographer \\
          --text-encoder minilm --predictor mlp --predictor mean --seeds 5 --jobs 2 -o table.png
      featurestore train benchmark --property slme --split paper --predictor ensemble \\
          --feature-set graph --feature-set graph+chgnet --reference graph --seeds 5
    """
    from featurestore.store import FeatureStore
    from train.benchmark.figure import write_benchmark_figure
    from train.benchmark.output import print_benchmark
    from train.benchmark.published import read_published
    from train.library import compare
    from train.predictors.assignments import parse_benchmark_settings

    if seeds and n_seeds:
        raise click.UsageError("Give either --seed or --seeds.")
    published = read_published(published_file) if published_file else []
    result = compare(
        FeatureStore.open(store_uri),
        _distinct(properties),
        split,
        feature_sets=_distinct(feature_sets),
        reference=reference_set,
        structure_encoders=_distinct(structure_encoders),
        text_sources=_distinct(text_sources),
        text_encoders=_distinct(text_encoders),
        features=_distinct(features),
        predictors=_distinct(predictors),
        seeds=tuple(dict.fromkeys(seeds)) or n_seeds or 1,
        settings=parse_benchmark_settings(settings),
        where=where,
        property_source=property_source,
        jobs=jobs,
        train=not no_train,
    )
    print_benchmark(result.rows, output_format, published)
    if not no_train:
        note(f"{result.trained} models trained, {result.found} were there.")
    for sentence in result.notes:
        note(f"Note: {sentence}")
    if figure is not None and any(row.errors.size for row in result.rows):
        write_benchmark_figure(result.rows, figure, published)
        note(f"Wrote {figure}")
    elif figure is not None:
        note(f"Note: nothing to draw, {figure} is not written")
    if result.failures:
        _print_failures(result.failures)
        raise CellsFailedError(
            f"{len(result.failures)} of the benchmark's models are missing; what could be had is "
            "shown above"
        )


def _print_failures(failures: Mapping[Cell, Failure]) -> None:
    """The cells that failed, together where the reason is the same."""
    by_reason: dict[str, list[Cell]] = {}
    for cell, failure in failures.items():
        by_reason.setdefault(failure.message, []).append(cell)
    for reason, cells in by_reason.items():
        click.echo(f"Failed: {len(cells)} × {reason}", err=True)
        for cell in cells[:_SHOWN_FAILURES]:
            click.echo(f"  {cell}", err=True)
        if len(cells) > _SHOWN_FAILURES:
            click.echo(f"  and {len(cells) - _SHOWN_FAILURES} more", err=True)


def _distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
