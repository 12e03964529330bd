"""``featurestore train groups``, ``parity``, ``leakage`` and ``leaderboard``: looking at models."""

from __future__ import annotations

from pathlib import Path

import click

from featurestore.cli.options import (
    CONTEXT,
    at_option,
    figure_option,
    file_option,
    format_option,
    groups_options,
    models_options,
    store_option,
)
from featurestore.model_request import ModelRequest


@click.command(context_settings=CONTEXT)
@models_options()
@groups_options(
    "What makes the groups: a column of materials, as prototype, or an expression over them.",
    by="crystal_system",
    at_least=5,
)
@figure_option()
@store_option
@at_option
@format_option
def groups(
    request: ModelRequest,
    by: str,
    at_least: int,
    figure: Path | None,
    store_uri: str,
    at: str | None,
    output_format: str,
) -> None:
    """Show the test error by group of materials, and where the best tenth of predictions lies.

    Models that differ only by their seed share a row: their errors are averaged for each material.
    best_10_share is the group's share of the 10 % of test materials that are predicted best, to be
    compared with its share of all; the bounds are a 95 % bootstrap interval over test materials.

    \b
    Example:
      featurestore train groups --property Tc_supercon --split paper --by prototype -o groups.png
    """
    from featurestore.store import FeatureStore
    from train.ablation import seed_groups
    from train.display import print_captioned
    from train.groups import group_errors, groups_table, write_groups_figure
    from train.models import requested_models

    with FeatureStore.open(store_uri, at=at).session() as session:
        chosen = seed_groups(requested_models(session, request))
        found = group_errors(session, chosen, by, at_least)
    print_captioned(groups_table(found), output_format, ["property", "model", "seeds", "unit"])
    if figure is not None:
        write_groups_figure(found, by, figure)
        click.echo(f"Wrote {figure}", err=True)


@click.command(context_settings=CONTEXT)
@click.argument("names", nargs=-1, required=True, metavar="MODEL...")
@figure_option(required=True)
@store_option
@at_option
def parity(names: tuple[str, ...], figure: Path, store_uri: str, at: str | None) -> None:
    """Draw predicted against target on the test fold for chosen models, side by side.

    \b
    Example:
      featurestore train parity Tc_supercon_structure_7b Tc_supercon_structure_chemnlp_0c -o p.png
    """
    from featurestore.errors import InvalidInputError
    from featurestore.store import FeatureStore
    from train.ablation import ablation_rows, comparison_warnings
    from train.models import find_models
    from train.parity import write_parity_plot

    with FeatureStore.open(store_uri, at=at).session() as session:
        models = find_models(session, names)
        properties = sorted({model.parameters.property for model in models})
        if len(properties) > 1:
            raise InvalidInputError(
                f"one figure is for one property; these models are of {', '.join(properties)}"
            )
        rows = ablation_rows(session, models)
        write_parity_plot(session, rows, figure)
    for sentence in comparison_warnings(rows):
        click.echo(f"Note: {sentence}", err=True)
    click.echo(f"Wrote {figure}", err=True)


@click.command(context_settings=CONTEXT)
@click.option("--property", "property_name", required=True, metavar="NAME", help="Its targets.")
@click.option("--split", required=True, metavar="NAME", help="Whose folds to look at.")
@click.option(
    "--seen",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="CSV file with a column material_id: what the source model was trained on.",
)
@click.option(
    "--models",
    is_flag=True,
    help="Show instead the test MAE of each stored model with such materials left out.",
)
@click.option(
    "--property-source", metavar="NAME", help="Source of the targets, where there are several."
)
@store_option
@at_option
@format_option
def leakage(
    property_name: str,
    split: str,
    seen: Path | None,
    models: bool,
    property_source: str | None,
    store_uri: str,
    at: str | None,
    output_format: str,
) -> None:
    """Count test materials that the training has met: equal, alike, or seen by a source model.

    A material of the first fold counts once if the other has one with the same structure, with the
    same crystal by pymatgen's StructureMatcher (after 'featurestore ingest duplicates'), or with
    the same formula. The last is often a polymorph, which may or may not be wanted in a test;
    'featurestore ingest splits --random … --group-by formula' keeps such together.

    \b
    Example:
      featurestore train leakage --property Tc_supercon --split paper
    """
    from featurestore.store import FeatureStore
    from train.display import print_captioned
    from train.leakage import errors_on_new_materials, leakage_table
    from train.leakage import leakage as found_leakage

    with FeatureStore.open(store_uri, at=at).session() as session:
        found = found_leakage(session, property_name, split, property_source, seen)
        if models:
            table = errors_on_new_materials(session, property_name, split, property_source)
        else:
            table = leakage_table(found)
    print_captioned(table, output_format, ["unit"] if models else [])
    for note in found.notes:
        click.echo(f"Note: {note}", err=True)


@click.command(context_settings=CONTEXT)
@click.argument("name", metavar="MODEL")
@file_option(
    "path", "File that ends in .csv.zip. Default: the leaderboard's own name, in this folder."
)
@click.option(
    "--dataset", metavar="NAME", help="The leaderboard's name of the data set, as dft_3d."
)
@store_option
@at_option
def leaderboard(
    name: str, path: Path | None, dataset: str | None, store_uri: str, at: str | None
) -> None:
    """Export a model's test predictions in the JARVIS-Leaderboard's format.

    \b
    Example:
      featurestore train leaderboard Tc_supercon_structure_7b
    """
    from featurestore.store import FeatureStore
    from train.leaderboard import leaderboard_name, write_leaderboard
    from train.models import find_model

    if path is not None and not path.name.endswith(".csv.zip"):
        raise click.UsageError("The file's name ends in .csv.zip.")
    with FeatureStore.open(store_uri, at=at).session() as session:
        model = find_model(session, name)
        expected = leaderboard_name(session, model, dataset)
        path = path or Path(expected)
        n = write_leaderboard(session, model, path)
    click.echo(f"Wrote {n:,} predictions to {path}", err=True)
    if path.name != expected:
        click.echo(f"Note: the leaderboard expects the name {expected}", err=True)
