"""``featurestore ingest targets``: targets from tables."""

from __future__ import annotations

from pathlib import Path

import click

from featurestore.cli.options import CONTEXT, store_option
from ingest.cli.options import registry_option
from ingest.cli.printing import print_ingested


@click.command(context_settings=CONTEXT)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--id-column",
    metavar="COLUMN",
    help="Column with the material ids. Default: material_id, jid or id.",
)
@click.option(
    "--column",
    "assignments",
    multiple=True,
    metavar="COLUMN=PROPERTY",
    help="What a column holds whose name is no property: one of the registry, or NAME:UNIT for a "
    "property of your own. May be repeated.",
)
@click.option(
    "--source-name", "source", help="Source of the values. Default: their materials' data set."
)
@click.option("--sheet", help="Sheet of an Excel workbook. Default: its only one.")
@click.option(
    "--decimal",
    type=click.Choice(["point", "comma"]),
    default="point",
    show_default=True,
    help="What stands before decimals in text.",
)
@registry_option
@click.option("--replace", is_flag=True, help="Replace targets stored with other values.")
@store_option
def targets(
    files: tuple[Path, ...],
    id_column: str | None,
    assignments: tuple[str, ...],
    source: str | None,
    sheet: str | None,
    decimal: str,
    registries: tuple[Path, ...],
    replace: bool,
    store_uri: str,
) -> None:
    """Read targets from FILES, for materials that are in the store.

    A file is text with separators (CSV, TSV …) or JSON lines, also compressed, Parquet, or an
    Excel workbook: a column with material ids, and one for each property. Nothing is written
    before its last row is read.

    \b
    Example:
      featurestore ingest targets targets.csv
      featurestore ingest targets lab.xlsx --id-column sample --column "band gap (eV)"=mbj_bandgap
      featurestore ingest targets lab.csv --column "T_m"=melting_temperature:K
    """
    from featurestore.store import FeatureStore
    from ingest.library.targets import add_targets
    from ingest.targets.columns import parse_columns

    columns = parse_columns(assignments)
    store = FeatureStore.open(store_uri)
    print_ingested(
        lambda: add_targets(
            store,
            files,
            id_column=id_column,
            columns=columns,
            source=source,
            sheet=sheet,
            decimal="," if decimal == "comma" else ".",
            property_registries=registries,
            replace=replace,
        )
    )
