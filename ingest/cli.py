"""``featurestore ingest``: everything that writes structures, splits, texts and vectors."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from featurestore.cli.options import CONTEXT, Command, store_option, together
from featurestore.errors import FeatureStoreError, InvalidInputError
from featurestore.view_request import FOLDS

if TYPE_CHECKING:
    from featurestore.runs import Run
    from featurestore.store import FeatureStore
    from ingest.encoders.base import Precision, StructureEncoder, TextEncoder
    from ingest.stages.outcome import Outcome
    from ingest.stages.selection import Selection


class NothingSucceededError(FeatureStoreError):
    """Every item that a command was given has failed."""


@click.group(context_settings=CONTEXT)
def ingest() -> None:
    """Put structures, splits, texts and embeddings into the store.

    Every command writes what is missing and nothing else: run it again after an interruption, or
    after new materials have come.
    """


def selection_options(command: Command) -> Command:
    """Add the options that choose materials; the command gets them as ``selection``."""

    @functools.wraps(command)
    def with_selection(**given: Any) -> Any:
        from ingest.stages.selection import Selection

        fields = {name: given.pop(name) for name in Selection.__dataclass_fields__}
        return command(selection=Selection(**fields), **given)

    return _selection_options(with_selection)  # type: ignore[return-value]


_selection_options = together(
    click.option(
        "--property",
        "properties",
        multiple=True,
        help="Only materials with a target for this property (may be repeated).",
    ),
    click.option("--split", help="With one --property: only materials in this split."),
    click.option("--fold", type=click.Choice(FOLDS), help="… in this fold of it."),
    click.option("--where", metavar="SQL", help="Only materials for which this condition holds."),
    click.option(
        "--material",
        "materials",
        multiple=True,
        metavar="ID",
        help="Only this material (may be repeated).",
    ),
)


def workers_options(item: str) -> Callable[[Command], Command]:
    """``--workers`` and ``--time-limit``, for commands that work on one such item at a time."""
    return together(
        click.option(
            "--workers", type=click.IntRange(1), help="Processes. Default: one a processor."
        ),
        click.option(
            "--time-limit",
            default=300.0,
            show_default=True,
            type=click.FloatRange(min=0.1),
            help=f"Seconds that one {item} may take before it counts as failed.",
        ),
    )


def retry_option(command: Command) -> Command:
    """Add ``--retry-failures``."""
    return click.option(
        "--retry-failures", is_flag=True, help="Try what failed in an earlier run again."
    )(command)


@contextmanager
def _recorded(
    store_uri: str, command: str, create: bool = False, files: Sequence[Path] = ()
) -> Iterator[tuple[FeatureStore, Run]]:
    """The store and a recorded run: the present command's arguments, its source files' hashes."""
    from featurestore.store import FeatureStore
    from ingest.structures.opening import shown

    store = FeatureStore.open(store_uri, create=create)
    arguments = {
        name: _as_json(value)
        for name, value in click.get_current_context().params.items()
        if value is not None and value is not False and value != () and name != "store_uri"
    }
    if files:
        arguments["source_sha256"] = {shown(path): _file_sha256(path) for path in files}
    with store.run(f"ingest {command}", arguments) as run:
        yield store, run


def _file_sha256(path: Path) -> str:
    from hashlib import file_digest

    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InvalidInputError(f"cannot read {path}: {error}") from error


def _as_json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_as_json(item) for item in value]
    if isinstance(value, bool | int | float):
        return value
    # a path of other bytes than UTF-8 shows them
    return str(value).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _report(run: Run, *outcomes: Outcome) -> None:
    """Print the summaries.

    Raises
    ------
    NothingSucceededError
        If there was something to do and all of it failed.
    """
    run.counts = {
        f"{name} {outcome.unit}" if len(outcomes) > 1 else name: count
        for outcome in outcomes
        for name, count in outcome.counts().items()
        if count
    }
    for outcome in outcomes:
        for line in outcome.summary():
            click.echo(line)
    if outcomes[0].nothing_succeeded:
        raise NothingSucceededError(
            f"none of the {len(outcomes[0].failures):,} {outcomes[0].unit} succeeded"
        )


@ingest.command(context_settings=CONTEXT)
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
@store_option
def structures(
    sources: tuple[str, ...],
    property_files: tuple[Path, ...],
    dataset: str | None,
    registries: tuple[Path, ...],
    replace: bool,
    store_uri: str,
) -> None:
    """Read structures and targets from SOURCES, with their symmetry.

    A source is a JARVIS archive (.json or .json.zip), a structure file (CIF, POSCAR, pymatgen or
    ASE JSON, whatever pymatgen reads), a folder or a glob.

    \b
    Example:
      featurestore ingest structures dft_3d.json.zip
      featurestore ingest structures my-cifs/ --properties targets.csv
    """
    from ingest.structures.sources import dataset_name, expand_sources, read_sources

    found = expand_sources(sources)
    files = [*(file.path for file in found if not file.irregular), *property_files]
    with _recorded(store_uri, "structures", create=True, files=files) as (store, run):
        _ingest_structures(
            store,
            run,
            read_sources(found),
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
    from featurestore.progress import progress_bar
    from featurestore.registry import load_registry
    from featurestore.workers import cpu_count
    from ingest.properties_file import read_property_file
    from ingest.stages.plausibility import implausible_targets
    from ingest.stages.structures import ingest_structures
    from ingest.stages.targets import ingest_targets

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
    _report(run, *outcomes)


@ingest.command(context_settings=CONTEXT)
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
    with _recorded(store_uri, "jarvis", create=True, files=[path]) as (store, run):
        _ingest_structures(store, run, read_jarvis(path), (), dataset, (), False)


@ingest.command(context_settings=CONTEXT)
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
    with _recorded(store_uri, "sample", create=True, files=files) as (store, run):
        records = read_jarvis(sample_archive())
        _ingest_structures(store, run, records, (), "jarvis_sample", (), False)


@ingest.command(context_settings=CONTEXT)
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--random", "fractions", metavar="80/10/10", help="Draw folds at random instead.")
@click.option(
    "--sample", metavar="SPLIT", help="Draw --at-most materials from each fold of this split."
)
@click.option("--at-most", metavar="4000/500/1000", help="With --sample: their numbers.")
@click.option(
    "--where",
    metavar="SQL",
    help="With --sample: only materials for which this condition on them and their properties "
    "holds.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of what is drawn.")
@click.option(
    "--group-by",
    metavar="GROUP",
    help="With --random: keep materials that agree in this together in one fold: structure, "
    "duplicates, formula (all polymorphs), prototype, or an SQL expression over materials.",
)
@click.option("--property", "property_name", help="Property the split is for.")
@click.option("--name", help="Name of the split. Default: paper, or random with the seed.")
@store_option
def splits(
    files: tuple[Path, ...],
    fractions: str | None,
    sample: str | None,
    at_most: str | None,
    where: str | None,
    seed: int,
    group_by: str | None,
    property_name: str | None,
    name: str | None,
    store_uri: str,
) -> None:
    """Store folds from FILES with id_train, id_val and id_test, or draw them.

    A file named dataset_split_PROPERTY.json is for that property. A --sample keeps the folds that
    its materials have in the split it is drawn from; a smaller one with the same seed is part of a
    larger one.

    \b
    Example:
      featurestore ingest splits splits/dataset_split_*.json --name paper
      featurestore ingest splits --random 80/10/10 --seed 1 --property mbj_bandgap
      featurestore ingest splits --random 80/10/10 --group-by formula --property mbj_bandgap
      featurestore ingest splits --sample paper --at-most 4000/500/1000 --property ehull
    """
    from featurestore.identity import sha256_hex
    from ingest.stages.folds import grouped_folds, parse_parts, random_folds, sampled_folds
    from ingest.stages.splits import (
        ingest_split,
        material_groups,
        materials_with,
        property_of_file,
        read_split_file,
        stored_folds,
    )

    if sum(map(bool, (files, fractions, sample))) != 1:
        raise click.UsageError("Give one of split FILES, --random and --sample.")
    if group_by and not fractions:
        raise click.UsageError("--group-by goes with --random.")
    if bool(at_most) != bool(sample) or (where and not sample):
        raise click.UsageError("--at-most and --where go with --sample, which needs --at-most.")
    if sample and property_name is None:
        raise click.UsageError("--sample needs the --property whose folds it draws from.")
    with _recorded(store_uri, "splits", files=files) as (store, run):
        if files:
            drawn = [
                (name or "paper", property_name or property_of_file(path), read_split_file(path))
                for path in files
            ]
        elif sample:
            sizes = parse_parts(cast(str, at_most))
            stored = stored_folds(store, sample, cast(str, property_name), where)
            folds = sampled_folds(stored, sizes, seed)
            default = f"{sample}-sample-{'-'.join(map(str, sizes))}-seed-{seed}"
            default += f"-where-{sha256_hex(where.encode())[:8]}" if where else ""
            drawn = [(name or default, property_name, folds)]
        else:
            parts = parse_parts(cast(str, fractions))
            ids = materials_with(store, property_name)
            default = f"random-{'-'.join(map(str, parts))}-seed-{seed}"
            if group_by:
                folds = grouped_folds(material_groups(store, ids, group_by), parts, seed)
                default += f"-by-{group_by}"
            else:
                folds = random_folds(ids, parts, seed)
            drawn = [(name or default, property_name, folds)]
        outcomes = [
            ingest_split(store, folds, split=split, name=what, run=run, may_grow=not sample)
            for split, what, folds in drawn
        ]
        total = outcomes[0]
        for outcome in outcomes[1:]:
            total = total.joined(outcome)
        _report(run, total)


@ingest.command(context_settings=CONTEXT)
@selection_options
@workers_options("formula")
@retry_option
@store_option
def duplicates(
    selection: Selection,
    workers: int | None,
    time_limit: float,
    retry_failures: bool,
    store_uri: str,
) -> None:
    """Find structures of one formula that are the same crystal, by pymatgen's StructureMatcher.

    'featurestore train leakage' and 'ingest splits --group-by duplicates' read what it finds.

    \b
    Example:
      featurestore ingest duplicates --property Tc_supercon
    """
    from featurestore.workers import cpu_count
    from ingest.stages.duplicates import ingest_duplicates

    with _recorded(store_uri, "duplicates") as (store, run):
        outcome = ingest_duplicates(
            store,
            selection=selection,
            workers=workers or cpu_count(),
            time_limit=time_limit,
            retry_failures=retry_failures,
            run=run,
        )
        _report(run, outcome)


@ingest.command(context_settings=CONTEXT)
@click.option("--source", required=True, metavar="SOURCE", help="robocrystallographer or chemnlp.")
@click.option(
    "--oxidation-states",
    type=click.Choice(["none", "guessed"]),
    default="none",
    show_default=True,
    help="Whether Robocrystallographer names them; 'guessed' is a generator of its own.",
)
@selection_options
@workers_options("structure")
@click.option(
    "--worker-memory",
    type=click.FloatRange(min=0.1),
    metavar="GIB",
    help="Memory that a process may take; a structure that needs more counts as failed. Default: "
    "all together four fifths of the machine's.",
)
@retry_option
@store_option
def text(
    source: str,
    oxidation_states: str,
    selection: Selection,
    workers: int | None,
    time_limit: float,
    worker_memory: float | None,
    retry_failures: bool,
    store_uri: str,
) -> None:
    """Describe structures in sentences, each with a tag.

    \b
    Example:
      featurestore ingest text --source robocrystallographer --property Tc_supercon
    """
    from featurestore.workers import cpu_count
    from ingest.stages.text import ingest_text

    with _recorded(store_uri, "text") as (store, run):
        outcome = ingest_text(
            store,
            source,
            guess_oxidation_states=oxidation_states == "guessed",
            selection=selection,
            workers=workers or cpu_count(),
            time_limit=time_limit,
            memory_limit=None if worker_memory is None else int(worker_memory * 2**30),
            retry_failures=retry_failures,
            run=run,
        )
        _report(run, outcome)


@ingest.command(context_settings=CONTEXT)
@click.option("--encoder", required=True, metavar="NAME", help="Named weights, or their folder.")
@click.option("--source", metavar="SOURCE", help="Text source, for a text encoder.")
@click.option(
    "--variant",
    "variants",
    multiple=True,
    help="Text variant (may be repeated), see below.  [default: full]",
)
@click.option(
    "--variants-file",
    type=click.Path(path_type=Path),
    help="File of further variants, one a line.",
)
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="Arithmetic; another precision or setting is another encoder in the store.",
)
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option(
    "--layer",
    help="ALIGNN: last, embedding, alignn_1 …, gcn_1 …; BERT: 0 the embeddings, -1 the last.",
)
@click.option("--backend", type=click.Choice(["torch", "dgl"]), help="ALIGNN: default torch.")
@click.option("--pooling", type=click.Choice(["mean", "cls"]), help="BERT: default mean.")
@click.option("--max-tokens", type=click.IntRange(3), help="BERT: default 512.")
@selection_options
@retry_option
@store_option
def embeddings(
    encoder: str,
    source: str | None,
    variants: tuple[str, ...],
    variants_file: Path | None,
    precision: Precision,
    device: str,
    layer: str | None,
    backend: str | None,
    pooling: str | None,
    max_tokens: int | None,
    selection: Selection,
    retry_failures: bool,
    store_uri: str,
) -> None:
    """Encode every structure, or every text of a source, that has no vector yet.

    A variant is full, or a rule and a part of the text: without deletes the part, only deletes all
    else, mask puts [MASK] in place of its words. The part is TAG,TAG (its sentences), sentence:N,N
    or word:N,N (numbered from 0), random:SEED:TAG or random-words:SEED:TAG (as many sentences or
    words as the tag has, at random).

    Shorthands: RULE:each, RULE:random:SEED:each and RULE:random-words:SEED:each stand for one
    variant for each tag, RULE:subsets for one for each set of tags, word:each and sentence:each for
    the deletion and the masking of every single one. Equal texts are encoded once.

    \b
    Example:
      featurestore ingest embeddings --encoder alignn-ff
      featurestore ingest embeddings --encoder minilm --source chemnlp --variant without:each
      featurestore ingest embeddings --encoder minilm --source chemnlp --variant mask:word:each \\
          --material JVASP-1151
    """
    from ingest.encoders.load import load_encoder
    from ingest.stages.embeddings import (
        ingest_structure_embeddings,
        ingest_text_embeddings,
    )
    from ingest.stages.variants import read_variants_file

    settings = {"layer": layer, "backend": backend, "pooling": pooling, "max_tokens": max_tokens}
    loaded = load_encoder(
        encoder,
        precision=precision,
        device=device,
        settings={name: value for name, value in settings.items() if value is not None},
    )
    if loaded.spec.kind == "structure" and source is not None:
        raise click.UsageError(f"{encoder} encodes structures: it takes no --source.")
    if loaded.spec.kind == "text" and source is None:
        raise click.UsageError(f"{encoder} encodes texts: name a --source.")
    if loaded.spec.kind == "structure" and (variants or variants_file):
        raise click.UsageError(f"{encoder} encodes structures: they have no variants.")
    if variants_file is not None:
        variants = (*variants, *read_variants_file(variants_file))
    with _recorded(store_uri, "embeddings") as (store, run):
        if loaded.spec.kind == "structure":
            outcome = ingest_structure_embeddings(
                store,
                cast("StructureEncoder", loaded),
                selection=selection,
                retry_failures=retry_failures,
                run=run,
            )
        else:
            assert source is not None
            outcome = ingest_text_embeddings(
                store,
                cast("TextEncoder", loaded),
                source=source,
                variants=variants or ("full",),
                selection=selection,
                retry_failures=retry_failures,
                run=run,
            )
        outcome.notes.append(f"encoder {loaded.spec.encoder_id}")
        _report(run, outcome)
