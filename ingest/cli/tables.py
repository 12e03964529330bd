"""``featurestore ingest table``: a structure in each row of a table."""

from __future__ import annotations

from pathlib import Path

import click

from featurestore.cli.options import CONTEXT, store_option
from ingest.cli.printing import print_ingested
from ingest.cli.providers import taking_options


@click.command(context_settings=CONTEXT)
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "--structure",
    metavar="COLUMN",
    help="Column of the structures. Default: structure, atoms or cif, whichever there is.",
)
@click.option(
    "--id",
    "id_column",
    metavar="COLUMN",
    help="Column of the ids. Default: material_id and the like, else the file and the row's index.",
)
@taking_options('"e_form=formation_energy_peratom"')
@store_option
def table(
    source: Path,
    structure: str | None,
    id_column: str | None,
    columns: tuple[str, ...],
    limit: int | None,
    dataset: str | None,
    registries: tuple[Path, ...],
    replace: bool,
    ordered: str | None,
    store_uri: str,
) -> None:
    """Read structures and targets from the rows of SOURCE.

    SOURCE is a Matbench or matminer data set (.json, .json.gz), a Parquet, Arrow or JSON-lines
    file, or a folder of them, such as a Hugging Face data set. A structure is plain data of
    pymatgen, JARVIS or ASE, or the text of a CIF.

    \b
    Example:
      featurestore ingest table matbench_mp_e_form.json.gz --column e_form=formation_energy_peratom
    """
    from featurestore.store import FeatureStore
    from ingest.library.tables import add_table

    store = FeatureStore.open(store_uri, create=True)
    print_ingested(
        lambda: add_table(
            store,
            source,
            structure=structure,
            id=id_column,
            columns=columns,
            limit=limit,
            dataset=dataset,
            property_registries=registries,
            replace=replace,
            ordered=ordered,
        )
    )
