"""``featurestore screen``: candidates chosen by several properties, and such choices replayed."""

from __future__ import annotations

from pathlib import Path

import click

from featurestore.cli.options import (
    CONTEXT,
    cluster_options,
    figure_option,
    format_option,
    output_option,
    store_option,
)
from featurestore.errors import FeatureStoreError
from featurestore.output.notes import note
from train.cli.candidates import check_which, keeping_options, which_options
from train.cli.failures import print_failures
from train.cli.replay import replay
from train.cli.unnamed import with_unnamed
from train.screening.names import RULES, STRUCTURE_FORMATS


class NothingChosenError(FeatureStoreError):
    """No candidate could be chosen."""


@click.group(cls=with_unnamed("candidates"), context_settings=CONTEXT)
def screen() -> None:
    """Choose among candidates by several properties, and replay how well a rule would have done.

    'featurestore screen FILES …' is short for 'featurestore screen candidates FILES …'.

    \b
    Example:
      featurestore screen my-cifs/ --want "mbj_bandgap between 1.1 and 1.6" --want "ehull < 0.05"
      featurestore screen --where true --want "maximise Tc_supercon" --acquire expected-improvement
      featurestore screen replay Tc_supercon --structure-encoder alignn-ff
    """


@screen.command(context_settings=CONTEXT)
@which_options
@click.option(
    "--want",
    "wants",
    multiple=True,
    required=True,
    metavar="WANT",
    help="What is wanted of a property (repeatable): 'P between A and B', 'P < B', 'P >= A', "
    "'maximise P' or 'minimise P'.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="ID",
    help="A model by its id or the beginning (repeatable), in place of a property's promoted one.",
)
@click.option(
    "--budget",
    default=10,
    show_default=True,
    metavar="N",
    type=click.IntRange(min=1),
    help="How many candidates are chosen.",
)
@click.option(
    "--acquire",
    type=click.Choice(RULES),
    help="Choose a batch for the next calculation by this rule; materials of which all is known "
    "are left. Default: the most probable candidates, known ones among them.",
)
@click.option(
    "--per-prototype",
    type=click.IntRange(min=1),
    metavar="N",
    help="At most N with the same composition prototype and space group.",
)
@click.option(
    "--per-chemsys", type=click.IntRange(min=1), metavar="N", help="At most N of the same elements."
)
@click.option("--inside", is_flag=True, help="Leave out candidates outside the models' domain.")
@click.option(
    "--predict-known", is_flag=True, help="Predict what the store knows, too, as if it did not."
)
@click.option(
    "--structures",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write a structure file of each chosen candidate.",
)
@click.option(
    "--structure-format",
    type=click.Choice(tuple(STRUCTURE_FORMATS)),
    default="cif",
    show_default=True,
    help="Of these files.",
)
@keeping_options
@figure_option("PNG, SVG or PDF file: the chosen and all candidates.", "--figure")
@output_option
@format_option
@cluster_options
@store_option
def candidates(
    sources: tuple[str, ...],
    ids: tuple[str, ...],
    where: str | None,
    wants: tuple[str, ...],
    models: tuple[str, ...],
    budget: int,
    acquire: str | None,
    per_prototype: int | None,
    per_chemsys: int | None,
    inside: bool,
    predict_known: bool,
    structures: Path | None,
    structure_format: str,
    no_store: bool,
    dataset: str | None,
    id_from: str,
    figure: Path | None,
    output: Path | None,
    output_format: str,
    store_uri: str,
) -> None:
    """Choose among the structures in SOURCES, and stored materials, by what is wanted of them.

    Each candidate is predicted as by 'featurestore predict', with the probability to be in each
    window. Where the store knows a value, that counts and is marked. The table shows those that are
    chosen; other formats, and -o, have all candidates in order.

    \b
    Example:
      featurestore screen new-cifs/ --want "ehull < 0.05" --want "mbj_bandgap between 1.1 and 1.6"
      featurestore screen --where "n_atoms < 20" --want "maximise slme" --budget 20 \\
        --acquire expected-improvement --per-prototype 2 --structures next/ --figure next.png
    """
    from featurestore.output.rows import print_table, write_table
    from featurestore.store import FeatureStore
    from train.screening.choice import Choice
    from train.screening.figure import write_screening_figure
    from train.screening.screen import screen as screened
    from train.screening.structures import write_structures

    check_which(sources, ids, where)
    choice = Choice(
        budget=budget,
        acquire=acquire,
        per_prototype=per_prototype,
        per_chemsys=per_chemsys,
        inside=inside,
        predict_known=predict_known,
    )
    found = screened(
        FeatureStore.open(store_uri),
        wants,
        sources,
        ids=ids,
        where=where,
        models=models,
        choice=choice,
        keep=not no_store,
        dataset=dataset,
        id_from=id_from,
    )
    if output is not None:
        write_table(found.table, output)
        note(f"{len(found.materials):,} candidates written to {output}")
    elif output_format != "table":
        print_table(found.table, output_format)
    elif found.chosen:
        print_table(found.short)
    if figure is not None and found.chosen:
        write_screening_figure(found, figure)
        note(f"Wrote {figure}")
    if structures is not None and found.chosen:
        written = write_structures(found, structures, structure_format)
        note(f"{len(written):,} structure files written to {structures}")
    for line in found.notes:
        note(f"Note: {line}")
    print_failures(found.failures, found.passed_over)
    if not found.chosen:
        raise NothingChosenError("no candidate could be chosen; see above")


screen.add_command(replay)
