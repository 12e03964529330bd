"""``featurestore ingest structures``, ``jarvis`` and ``sample``: crystals and their targets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featurestore.cli.options import CONTEXT, store_option
from ingest.cli.recorded import recorded, report

if TYPE_CHECKING:
    from featurestore.store import FeatureStore
    from featurestore.tables.runs import Run

_BYTES_A_READER = 4 << 30  # a file of the largest size, unpacked, and what a parser makes of it


@click.command(context_settings=CONTEXT)
@click.argument("sources", nargs=-1, required=True)
@click.option(
    "--properties",
    "property_files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="CSV file of targets: a material_id column and one for each property.",
)
@click.option("--dataset", help="Name recorded for the data set. Default: that of the source.")
@click.option(
    "--property-registry",
    "registries",
    multiple=True,
    type=click.Path(path_type=Path),
    help="TOML file with further properties, their units and ranges.",
)
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
@click.option(
    "--ordered",
    type=click.Choice(["nearest"]),
    help="Give each disordered site its most abundant element instead of refusing the structure; "
    "ids then end in ~ordered.",
)
@store_option
def structures(
    sources: tuple[str, ...],
    property_files: tuple[Path, ...],
    dataset: str | None,
    registries: tuple[Path, ...],
    replace: bool,
    id_from: str,
    ordered: str | None,
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
    from featurestore.machine.workers import WorkerPool, cpu_count
    from ingest.structures.ids import IdRule
    from ingest.structures.sources import dataset_name, expand_sources, read_sources

    rule = IdRule.parse(id_from)
    found = expand_sources(sources)
    files = [*(file.path for file in found if not file.irregular), *property_files]
    with (
        recorded(store_uri, "structures", create=True, files=files) as (store, run),
        WorkerPool(cpu_count(), memory_limit=_BYTES_A_READER) as pool,
    ):
        _ingest_structures(
            store,
            run,
            read_sources(found, rule, ordered is not None, pool),
            property_files,
            dataset or dataset_name(sources),
            registries,
            replace,
        )


def _ingest_structures(
    store: FeatureStore,
    run: Run,
    records: Any,
    property_files: tuple[Path, ...],
    dataset: str,
    registries: tuple[Path, ...],
    replace: bool,
) -> None:
    from featurestore.machine.workers import cpu_count
    from featurestore.output.progress import progress_bar
    from featurestore.registry import load_registry
    from ingest.stages.plausibility import implausible_targets
    from ingest.stages.structures import ingest_structures
    from ingest.stages.targets import ingest_targets
    from ingest.structures.properties_file import read_property_file

    registry = load_registry(*registries)
    # Read before anything is written: a bad column name should not leave half the work done.
    cells = [cell for path in property_files for cell in read_property_file(path, registry)]
    with progress_bar(None, "structures", "materials") as progress:
        outcomes = ingest_structures(
            store,
            records,
            dataset=dataset,
            registry=registry,
            run=run,
            progress=progress,
            workers=cpu_count(),
            replace=replace,
        )
    if property_files:
        from_files = ingest_targets(
            store, cells, source=dataset, registry=registry, run=run, replace=replace
        )
        outcomes = (outcomes[0], outcomes[1].joined(from_files))
    outcomes[1].notes += implausible_targets(store, dataset, registry)
    report(run, *outcomes)


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
    from ingest.structures.download import jarvis_archive
    from ingest.structures.jarvis import read_jarvis

    path = jarvis_archive(dataset, folder)
    with recorded(store_uri, "jarvis", create=True, files=[path]) as (store, run):
        _ingest_structures(store, run, read_jarvis(path), (), dataset, (), False)


@click.command(context_settings=CONTEXT)
@store_option
def sample(store_uri: str) -> None:
    """Read the bundled sample of real JARVIS-DFT materials, to try the commands on.

    \b
    Example:
      featurestore ingest sample --store demo-store
    """
    from ingest.sample import sample_archive
    from ingest.structures.jarvis import read_jarvis

    files = [sample_archive()]
    with recorded(store_uri, "sample", create=True, files=files) as (store, run):
        records = read_jarvis(sample_archive())
        _ingest_structures(store, run, records, (), "jarvis_sample", (), False)
