"""``featurestore ingest structures``, ``jarvis`` and ``sample``: crystals and their targets."""

from __future__ import annotations

from pathlib import Path

import click

from featurestore.cli.options import CONTEXT, cluster_options, store_option
from ingest.cli.options import ordered_option, registry_option
from ingest.cli.printing import print_ingested


@click.command(context_settings=CONTEXT)
@click.argument("sources", nargs=-1, required=True)
@click.option(
    "--properties",
    "property_files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="File of targets (CSV, Excel, Parquet, JSON lines): a material_id column and one for each "
    "property. Other names of columns: see ingest targets.",
)
@click.option("--dataset", help="Name recorded for the data set. Default: that of the source.")
@registry_option
@click.option(
    "--replace", is_flag=True, help="Replace materials and targets stored with other content."
)
@click.option(
    "--id-from",
    default="stem",
    show_default=True,
    metavar="WAY",
    help="What of a file is its material's id: stem (with as many folders as tell it from the "
    "others), path, formula, or regex:PATTERN of its path.",
)
@ordered_option
@click.option(
    "--targets/--no-targets",
    default=True,
    show_default=True,
    help="Take targets that stand with structures: in archives and documents, VASP runs, extended "
    "XYZ, ASE's data bases.",
)
@cluster_options
@store_option
def structures(
    sources: tuple[str, ...],
    property_files: tuple[Path, ...],
    dataset: str | None,
    registries: tuple[Path, ...],
    replace: bool,
    id_from: str,
    ordered: str | None,
    targets: bool,
    store_uri: str,
) -> None:
    """Read structures and targets from SOURCES, with their symmetry.

    A source is a JARVIS archive (.json or .json.zip), a structure file (CIF, POSCAR, vasprun.xml,
    pymatgen or ASE JSON, extended XYZ, …), a zip or tar of such files, a folder or a glob.

    \b
    Example:
      featurestore ingest structures dft_3d.json.zip
      featurestore ingest structures my-cifs/ --properties targets.csv
    """
    from featurestore.store import FeatureStore
    from ingest.library.structures import add_structures

    store = FeatureStore.open(store_uri, create=True)
    print_ingested(
        lambda: add_structures(
            store,
            sources,
            properties=property_files,
            dataset=dataset,
            property_registries=registries,
            replace=replace,
            id_from=id_from,
            ordered=ordered,
            targets=targets,
        )
    )


@click.command(context_settings=CONTEXT)
@click.option("--dataset", default="dft_3d", show_default=True, help="Name in jarvis-tools.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="Where the archive is kept. Default: the cache folder.",
)
@store_option
def jarvis(dataset: str, folder: Path | None, store_uri: str) -> None:
    """Download a published JARVIS archive, then ingest it like any other.

    The archive is kept, so that a second run reads it from disk.

    \b
    Example:
      featurestore ingest jarvis --dataset dft_3d
    """
    from featurestore.store import FeatureStore
    from ingest.library.structures import add_jarvis

    store = FeatureStore.open(store_uri, create=True)
    print_ingested(lambda: add_jarvis(store, dataset, folder))


@click.command(context_settings=CONTEXT)
@store_option
def sample(store_uri: str) -> None:
    """Read the bundled sample of real JARVIS-DFT materials, to try the commands on.

    \b
    Example:
      featurestore ingest sample --store demo-store
    """
    from featurestore.store import FeatureStore
    from ingest.library.structures import add_sample

    store = FeatureStore.open(store_uri, create=True)
    print_ingested(lambda: add_sample(store))
