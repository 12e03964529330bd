"""``featurestore predict``: from structure files or stored materials to values with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from featurestore.cli.options import (
    CONTEXT,
    cluster_options,
    format_option,
    output_option,
    store_option,
)
from featurestore.errors import FeatureStoreError
from featurestore.output.notes import note
from train.cli.candidates import check_which, keeping_options, which_options
from train.cli.failures import print_failures
from train.cli.unnamed import with_unnamed

if TYPE_CHECKING:
    from train.forecasts.reasons import Reasons


class NothingPredictedError(FeatureStoreError):
    """No material that was asked for could be predicted."""


@click.group(cls=with_unnamed("materials"), context_settings=CONTEXT)
def predict() -> None:
    """Predict materials from their files or from the store, and score what was predicted before.

    'featurestore predict FILES …' is short for 'featurestore predict materials FILES …'.

    \b
    Example:
      featurestore predict my-cifs/ --property mbj_bandgap
      featurestore predict --where "crystal_system = 'cubic'" --format csv
      featurestore predict score
    """


@predict.command(context_settings=CONTEXT)
@which_options
@click.option(
    "--property",
    "properties",
    multiple=True,
    metavar="NAME",
    help="What to predict (repeatable), by its promoted models or the only ones. Default: every "
    "property that has a model.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="ID",
    help="A model by its id or the beginning (repeatable), with those that differ by the seed.",
)
@keeping_options
@click.option(
    "--why",
    is_flag=True,
    help="Say for the first ten what in the text and the structure moved the prediction.",
)
@output_option
@format_option
@cluster_options
@store_option
def materials(
    sources: tuple[str, ...],
    ids: tuple[str, ...],
    where: str | None,
    properties: tuple[str, ...],
    models: tuple[str, ...],
    no_store: bool,
    dataset: str | None,
    id_from: str,
    why: bool,
    output: Path | None,
    output_format: str,
    store_uri: str,
) -> None:
    """Predict the structures in SOURCES, and stored materials that are chosen.

    A source is a structure file, a folder, an archive or a glob, as for 'ingest structures'. It is
    read, described and encoded as the models' training materials were; what is stored already is
    not made again, and an interrupted command goes on where it was. The forecasts go into the table
    forecasts, beside older ones.

    Beside each value stand its standard deviation, the interval that holds 90 % of true values,
    and how far the material is from the training materials: the per cent of these that are nearer
    to the others. Files without a forecast are counted and named; exit code 1 if there is none.

    With --why the sentences of the text, its tags beside as many random sentences, and the parts of
    the features are taken away in turn, and the nearest known materials are named; in JSON and
    files it is the column why.

    \b
    Example:
      featurestore predict POSCAR --property mbj_bandgap
      featurestore predict my-cifs/ --property mbj_bandgap --property slme -o forecasts.csv
      featurestore predict --where "crystal_system = 'cubic'" --model mbj_bandgap_structure_7472
      featurestore predict POSCAR --property mbj_bandgap --why
    """
    from featurestore.output.rows import print_table, write_table
    from featurestore.store import FeatureStore
    from train.forecasts.predictor import Predictor
    from train.forecasts.reasons import gives_reasons

    check_which(sources, ids, where)
    store = FeatureStore.open(store_uri)
    reasons: Reasons | None = None
    with (
        Predictor(store, properties, models=models, keep=not no_store) as predictor,
        predictor.predicting(sources, ids=ids, where=where, dataset=dataset, id_from=id_from) as (
            place,
            found,
        ),
    ):
        if why and found.rows:
            reasons = gives_reasons()(predictor, place, found.rows)
    table = found.table
    if reasons is not None:
        table = table.append_column("why", reasons.column())
    if output is not None:
        write_table(table, output)
        note(f"{len(found.rows):,} forecasts written to {output}")
    elif output_format == "table":
        if found.rows:
            print_table(found.short)
    else:
        print_table(table, output_format)
    if reasons is not None and output_format == "table":
        click.echo("\n" + reasons.text())
    if not no_store:
        there = len(found.rows) - found.written
        note(f"{found.written:,} forecasts stored, {there:,} were there")
    for line in (*found.remarks(), *(() if reasons is None else reasons.notes)):
        note(f"Note: {line}")
    print_failures(found.failures, found.passed_over)
    if not found.rows:
        raise NothingPredictedError("no material could be predicted; see above")


@predict.command(context_settings=CONTEXT)
@click.option("--property", "property_name", metavar="NAME", help="Of this property alone.")
@click.option(
    "--property-source", metavar="NAME", help="Source of the targets, where there are several."
)
@format_option
@store_option
def score(
    property_name: str | None, property_source: str | None, output_format: str, store_uri: str
) -> None:
    """Score the forecasts of materials whose target was not known then and is now.

    \b
    Example:
      featurestore predict score --property mbj_bandgap
    """
    from featurestore.output.rows import print_table
    from featurestore.store import FeatureStore
    from train.forecasts.stored import score_forecasts

    table = score_forecasts(FeatureStore.open(store_uri), property_name, property_source)
    print_table(table, output_format)
    if not sum(table["n"].to_pylist()):
        note(
            "Note: no target has come yet for what was predicted; bring them with: featurestore "
            "ingest targets TABLE --column COLUMN=PROPERTY"
        )
