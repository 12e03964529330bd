"""What the commands of ``featurestore ingest`` do, as functions for programs and notebooks.

Each writes what is missing and nothing else, records its run, shows its progress, and returns what
came of it. The commands parse their options, call one of these, and print.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from featurestore.errors import InvalidInputError
from featurestore.identity import sha256_hex
from featurestore.machine.workers import WorkerPool, cpu_count
from featurestore.output.progress import progress_bar
from featurestore.plugins import checked_settings
from featurestore.registry import load_registry
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from ingest.recording import Ingested, ingested, recorded
from ingest.stages.folds import grouped_folds, parse_parts, random_folds, sampled_folds
from ingest.stages.plausibility import implausible_targets
from ingest.stages.selection import Selection
from ingest.stages.splits import (
    ingest_split,
    material_groups,
    materials_with,
    property_of_file,
    read_split_file,
    stored_folds,
)
from ingest.stages.structures import ingest_structures
from ingest.stages.targets import ingest_targets
from ingest.structures.ids import IdRule
from ingest.structures.properties_file import read_property_file
from ingest.structures.records import MaterialRecord
from ingest.structures.sources import dataset_name, expand_sources, read_sources

ALL = Selection()

_BYTES_A_READER = 4 << 30  # a file of the largest size, unpacked, and what a parser makes of it
# Options of the command; other settings are named by --set.
_OPTIONS = ("precision", "device", "layer", "backend", "pooling", "max_tokens")


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
) -> Ingested:
    """Read structures and targets from files, with their symmetry.

    Parameters
    ----------
    store : FeatureStore
        Written to.
    sources : path, or several
        JARVIS archives, structure files, zips or tars of them, folders or globs.
    properties : sequence of path
        CSV files of targets: a material_id column and one for each property.
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
    if ordered not in (None, "nearest"):
        raise InvalidInputError(f"disorder is ordered by 'nearest'; got {ordered!r}")
    rule, found = IdRule.parse(id_from), expand_sources(named)
    arguments = {
        "sources": tuple(named),
        "property_files": tables,
        "dataset": dataset,
        "registries": registries,
        "replace": replace,
        "id_from": id_from,
        "ordered": ordered,
    }
    files = [*(file.path for file in found if not file.irregular), *tables]
    with (
        recorded(store, "structures", arguments, files) as run,
        WorkerPool(cpu_count(), memory_limit=_BYTES_A_READER) as pool,
    ):
        records = read_sources(found, rule, ordered is not None, pool)
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


def add_splits(
    store: FeatureStore,
    files: Sequence[str | Path] = (),
    *,
    random: str | None = None,
    sample: str | None = None,
    at_most: str | None = None,
    where: str | None = None,
    seed: int = 0,
    group_by: str | None = None,
    property: str | None = None,
    name: str | None = None,
) -> Ingested:
    """Store folds from files with id_train, id_val and id_test, or draw them.

    Parameters
    ----------
    store : FeatureStore
        Written to.
    files : sequence of path
        Split files; one named dataset_split_PROPERTY.json is for that property.
    random : str
        In place of files: the shares of train, val and test, as ``"80/10/10"``.
    sample, at_most : str
        In place of files: a split, and how many materials of each of its folds are drawn.
    where : str, optional
        With ``sample``: only materials for which this SQL condition holds.
    seed : int
        Of what is drawn.
    group_by : str, optional
        With ``random``: what is kept together in one fold; see `material_groups`.
    property : str, optional
        The split is for it alone.
    name : str, optional
        Of the split; by default ``paper``, or it says how it was drawn.

    Raises
    ------
    InvalidInputError
        If none or several of ``files``, ``random`` and ``sample`` are given, or one of the others
        does not go with it.
    """
    if sum(map(bool, (files, random, sample))) != 1:
        raise InvalidInputError("give one of split files, random and sample")
    if group_by and not random:
        raise InvalidInputError("group_by goes with random")
    if bool(at_most) != bool(sample) or (where and not sample):
        raise InvalidInputError("at_most and where go with sample, which needs at_most")
    if sample and property is None:
        raise InvalidInputError("sample needs the property whose folds it draws from")
    paths = [Path(path) for path in files]
    arguments = {
        "files": tuple(paths),
        "fractions": random,
        "sample": sample,
        "at_most": at_most,
        "where": where,
        "seed": seed,
        "group_by": group_by,
        "property_name": property,
        "name": name,
    }
    with recorded(store, "splits", arguments, paths) as run:
        if paths:
            drawn = [
                (name or "paper", property or property_of_file(path), read_split_file(path))
                for path in paths
            ]
        elif sample:
            sizes = parse_parts(cast(str, at_most))
            stored = stored_folds(store, sample, cast(str, property), where)
            folds = sampled_folds(stored, sizes, seed)
            default = f"{sample}-sample-{'-'.join(map(str, sizes))}-seed-{seed}"
            default += f"-where-{sha256_hex(where.encode())[:8]}" if where else ""
            drawn = [(name or default, property, folds)]
        else:
            parts = parse_parts(cast(str, random))
            ids = materials_with(store, property)
            default = f"random-{'-'.join(map(str, parts))}-seed-{seed}"
            if group_by:
                folds = grouped_folds(material_groups(store, ids, group_by), parts, seed)
                default += f"-by-{group_by}"
            else:
                folds = random_folds(ids, parts, seed)
            drawn = [(name or default, property, folds)]
        first, *others = [
            ingest_split(store, folds, split=split, name=what, run=run, may_grow=not sample)
            for split, what, folds in drawn
        ]
        for outcome in others:
            first = first.joined(outcome)
        return ingested(run, first)


def find_duplicates(
    store: FeatureStore,
    selection: Selection = ALL,
    *,
    workers: int | None = None,
    time_limit: float = 300.0,
    retry_failures: bool = False,
) -> Ingested:
    """Find structures of one formula that are the same crystal, by pymatgen's StructureMatcher.

    Parameters
    ----------
    store : FeatureStore
        Read and written.
    selection : Selection
        Which materials.
    workers : int, optional
        Processes; by default one a processor.
    time_limit : float
        Seconds that one formula may take.
    retry_failures : bool
        Whether what failed in an earlier run is tried again.
    """
    from ingest.stages.duplicates import ingest_duplicates

    arguments = vars(selection) | _work(workers, time_limit, retry_failures)
    with recorded(store, "duplicates", arguments) as run:
        outcome = ingest_duplicates(
            store,
            selection=selection,
            workers=workers or cpu_count(),
            time_limit=time_limit,
            retry_failures=retry_failures,
            run=run,
        )
        return ingested(run, outcome)


def describe(
    store: FeatureStore,
    source: str,
    selection: Selection = ALL,
    *,
    settings: Mapping[str, Any] | None = None,
    workers: int | None = None,
    time_limit: float = 300.0,
    worker_memory: float | None = None,
    retry_failures: bool = False,
) -> Ingested:
    """Describe structures in sentences, each with a tag.

    Parameters
    ----------
    store : FeatureStore
        Read and written.
    source : str
        A text source: "robocrystallographer", "chemnlp", or one that a package adds.
    selection : Selection
        Which materials.
    settings : mapping, optional
        Of the source, other than its defaults; see ``featurestore parts texts``.
    workers : int, optional
        Processes; by default one a processor.
    time_limit : float
        Seconds that one structure may take.
    worker_memory : float, optional
        GiB that a process may take; by default all together four fifths of the machine's.
    retry_failures : bool
        Whether what failed in an earlier run is tried again.
    """
    from ingest.stages.text import ingest_text
    from ingest.text.registry import text_part

    chosen = dict(settings or {})
    checked_settings(text_part(source), chosen)
    guessed = chosen.get("guess_oxidation_states")
    arguments = {
        "source": source,
        "oxidation_states": "guessed" if guessed else "none",
        "settings": _assignments(chosen, ("guess_oxidation_states",)),
        "worker_memory": worker_memory,
        **vars(selection),
        **_work(workers, time_limit, retry_failures),
    }
    with recorded(store, "text", arguments) as run:
        outcome = ingest_text(
            store,
            source,
            settings=chosen,
            selection=selection,
            workers=workers or cpu_count(),
            time_limit=time_limit,
            memory_limit=None if worker_memory is None else int(worker_memory * 2**30),
            retry_failures=retry_failures,
            run=run,
        )
        return ingested(run, outcome)


def encode(
    store: FeatureStore,
    encoder: str,
    source: str | None = None,
    variants: Sequence[str] = (),
    selection: Selection = ALL,
    *,
    settings: Mapping[str, Any] | None = None,
    retry_failures: bool = False,
) -> Ingested:
    """Encode every structure, or every text of a source, that has no vector yet.

    Parameters
    ----------
    store : FeatureStore
        Read and written.
    encoder : str
        Named weights, a folder of weights, or an encoder that needs none.
    source : str, optional
        The text source, for a text encoder.
    variants : sequence of str
        Of the texts, with shorthands; by default ``full``.
    selection : Selection
        Which materials.
    settings : mapping, optional
        Of the encoder, other than its defaults, as ``{"precision": "bfloat16"}``.
    retry_failures : bool
        Whether what failed in an earlier run is tried again.

    Raises
    ------
    InvalidInputError
        If a source or variants are named for structures, or no source for texts.
    """
    from ingest.encoders.base import StructureEncoder, TextEncoder
    from ingest.encoders.registry import named_encoder
    from ingest.stages.embeddings import ingest_structure_embeddings, ingest_text_embeddings

    chosen = dict(settings or {})
    loaded = named_encoder(encoder).load(chosen)
    structures = loaded.spec.kind == "structure"
    if structures and (source is not None or variants):
        raise InvalidInputError(f"{encoder} encodes structures: it takes no source and no variants")
    if not structures and source is None:
        raise InvalidInputError(f"{encoder} encodes texts: name a source")
    arguments = {
        "encoder": encoder,
        "source": source,
        "variants": tuple(variants),
        **{name: chosen[name] for name in _OPTIONS if name in chosen},
        "settings": _assignments(chosen, _OPTIONS),
        **vars(selection),
        "retry_failures": retry_failures,
    }
    work: dict[str, Any] = {"selection": selection, "retry_failures": retry_failures}
    with recorded(store, "embeddings", arguments) as run:
        if structures:
            outcome = ingest_structure_embeddings(
                store, cast(StructureEncoder, loaded), run=run, **work
            )
        else:
            outcome = ingest_text_embeddings(
                store,
                cast(TextEncoder, loaded),
                source=cast(str, source),
                variants=tuple(variants) or ("full",),
                run=run,
                **work,
            )
        outcome.notes.append(f"encoder {loaded.spec.encoder_id}")
        return ingested(run, outcome)


def add_vectors(
    store: FeatureStore,
    file: str | Path,
    name: str,
    *,
    column: str | None = None,
    trained_on: str | None = None,
    licence: str | None = None,
) -> Ingested:
    """Store vectors of structures from a Parquet file, like those of an encoder.

    Parameters
    ----------
    store : FeatureStore
        Written to.
    file : path
        With a column material_id or structure_id, and one of lists of numbers of one length.
    name : str
        What the encoder is called.
    column : str, optional
        Of the vectors; by default the only column of lists.
    trained_on, licence : str, optional
        What the vectors were learnt from, and under which terms they are used.
    """
    from ingest.stages.vectors import ingest_vectors

    path = Path(file)
    arguments = {
        "file": path,
        "name": name,
        "column": column,
        "trained_on": trained_on,
        "licence": licence,
    }
    with recorded(store, "vectors", arguments, [path]) as run:
        outcome = ingest_vectors(
            store,
            path,
            name=name,
            column=column,
            trained_on=trained_on,
            licence=licence,
            run=run,
        )
        return ingested(run, outcome)


def _materials(
    store: FeatureStore,
    run: Run,
    records: Iterable[MaterialRecord],
    dataset: str,
    tables: Sequence[Path] = (),
    registries: Sequence[Path] = (),
    replace: bool = False,
) -> Ingested:
    registry = load_registry(*registries)
    # Read before anything is written: a bad column name should not leave half the work done.
    cells = [cell for path in tables for cell in read_property_file(path, registry)]
    with progress_bar(None, "structures", "materials") as progress:
        materials, targets = ingest_structures(
            store,
            records,
            dataset=dataset,
            registry=registry,
            run=run,
            progress=progress,
            workers=cpu_count(),
            replace=replace,
        )
    if tables:
        from_files = ingest_targets(
            store, cells, source=dataset, registry=registry, run=run, replace=replace
        )
        targets = targets.joined(from_files)
    targets.notes += implausible_targets(store, dataset, registry)
    return ingested(run, materials, targets)


def _work(workers: int | None, time_limit: float, retry_failures: bool) -> dict[str, Any]:
    return {"workers": workers, "time_limit": time_limit, "retry_failures": retry_failures}


def _assignments(settings: Mapping[str, Any], options: Sequence[str]) -> tuple[str, ...]:
    """Settings that are no options of the command, as ``NAME=VALUE``."""
    return tuple(f"{name}={value}" for name, value in settings.items() if name not in options)
