"""``featurestore train leakage``: what test materials share with training materials."""

from __future__ import annotations

from pathlib import Path

import click

from featurestore.cli.options import CONTEXT, at_option, format_option, store_option
from featurestore.output.notes import note
from train.cli.options import property_source_option


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
@property_source_option
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
    from train.analysis.leakage import errors_on_new_materials, leakage_table
    from train.analysis.leakage import leakage as found_leakage
    from train.display.printing import print_captioned

    with FeatureStore.open(store_uri, at=at).session() as session:
        found = found_leakage(session, property_name, split, property_source, seen)
        if models:
            table = errors_on_new_materials(session, property_name, split, property_source)
        else:
            table = leakage_table(found)
    print_captioned(table, output_format, ["unit"] if models else [])
    for sentence in found.notes:
        note(f"Note: {sentence}")
