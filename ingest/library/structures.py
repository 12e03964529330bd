"""Structures and targets from files, with their symmetry."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

from featurestore.machine.pool import default_workers
from featurestore.machine.processors import processors
from featurestore.machine.workers import WorkerPool
from featurestore.output.progress import progress_bar
from featurestore.registry import load_registry
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from ingest.library.storing import check_order
from ingest.library.targets import known_properties, opened_targets
from ingest.recording import Ingested, ingested, recorded
from ingest.stages.plausibility import implausible_targets
from ingest.stages.structures import ingest_structures
from ingest.stages.targets import ingest_targets
from ingest.structures.ids import IdRule
from ingest.structures.records import MaterialRecord
from ingest.structures.sources import dataset_name, expand_sources, read_sources

_BYTES_A_READER = 4 << 30  # a file of the largest size, unpacked, and what a parser makes of it


def add_structures(
    store: FeatureStore,
    sources: str | Path | Iterable[str | Path],
    *,
    properties: Sequence[str | Path] = (),
    dataset: str | None = None,
    property_registries: Sequence[str | Path] = (),
    replace: bool = False,
    id_from: str = "stem",
    ordered: str | None = None,
    targets: bool = True,
) -> Ingested:
    """Read structures and targets from files, with their symmetry.

    Parameters
    ----------
    store : FeatureStore
        Written to.
    sources : path, or several
        JARVIS archives, structure files, zips or tars of them, folders or globs.
    properties : sequence of path
        Files of targets: a material_id column and one for each property; see `add_targets`.
    dataset : str, optional
        Name recorded for the data set; by default that of the source.
    property_registries : sequence of path
        TOML files with further properties, their units and ranges.
    replace : bool
        Whether materials and targets that are stored with other content are replaced.
    id_from : str
        What of a file is its material's id: ``stem``, ``path``, ``formula`` or ``regex:PATTERN``.
    ordered : {"nearest"}, optional
        How disordered structures are ordered; by default they are refused.
    targets : bool
        Whether targets are taken that stand with structures: in archives and documents, in VASP
        runs, in extended XYZ and ASE's data bases.

    Raises
    ------
    InvalidInputError
        If a source names nothing, or a file of targets cannot be used.
    NothingSucceededError
        If every structure failed.
    """
    named = [str(one) for one in ([sources] if isinstance(sources, str | Path) else sources)]
    tables = tuple(Path(path) for path in properties)
    registries = tuple(Path(path) for path in property_registries)
    check_order(ordered)
    rule, found = IdRule.parse(id_from), expand_sources(named)
    arguments = {
        "sources": tuple(named),
        "property_files": tables,
        "dataset": dataset,
        "registries": registries,
        "replace": replace,
        "id_from": id_from,
        "ordered": ordered,
        "no_targets": not targets,
    }
    files = [*(file.path for file in found if not file.irregular), *tables]
    with (
        recorded(store, "structures", arguments, files) as run,
        # Files are read where they lie.
        WorkerPool(processors(), memory_limit=_BYTES_A_READER) as pool,
    ):
        records = read_sources(found, rule, ordered is not None, pool)
        if not targets:
            records = (dataclasses.replace(record, targets={}) for record in records)
        name = dataset or dataset_name(named)
        return _materials(store, run, records, name, tables, registries, replace)


def add_jarvis(
    store: FeatureStore, dataset: str = "dft_3d", folder: str | Path | None = None
) -> Ingested:
    """Download a published JARVIS archive, keep it in ``folder`` or the cache, and read it."""
    from ingest.structures.download import jarvis_archive
    from ingest.structures.jarvis import read_jarvis

    path = jarvis_archive(dataset, None if folder is None else Path(folder))
    arguments = {"dataset": dataset, "folder": folder}
    with recorded(store, "jarvis", arguments, [path]) as run:
        return _materials(store, run, read_jarvis(path), dataset)


def add_sample(store: FeatureStore) -> Ingested:
    """Read the bundled sample of 70 real JARVIS-DFT materials."""
    from ingest.sample import sample_archive
    from ingest.structures.jarvis import read_jarvis

    path = sample_archive()
    with recorded(store, "sample", {}, [path]) as run:
        return _materials(store, run, read_jarvis(path), "jarvis_sample")


def _materials(
    store: FeatureStore,
    run: Run,
    records: Iterable[MaterialRecord],
    dataset: str,
    tables: Sequence[Path] = (),
    registries: Sequence[Path] = (),
    replace: bool = False,
) -> Ingested:
    registry = known_properties(store, load_registry(*registries), {})
    # Opened before anything is written: a bad column name should not leave half the work done.
    files = [opened_targets(path, registry) for path in tables]
    with progress_bar(None, "structures", "materials") as progress:
        materials, targets = ingest_structures(
            store,
            records,
            dataset=dataset,
            registry=registry,
            run=run,
            progress=progress,
            workers=default_workers(),
            replace=replace,
        )
    if tables:
        with progress_bar(None, "targets", "rows") as progress:
            from_files, _ = ingest_targets(
                store, files, source=dataset, run=run, progress=progress, replace=replace
            )
        targets = targets.joined(from_files)
    targets.notes += implausible_targets(store, dataset, registry)
    return ingested(run, materials, targets)
