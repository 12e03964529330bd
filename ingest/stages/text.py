"""Stage 3: descriptions of structures, as tagged sentences, into ``sentences``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from featurestore.crystal import Crystal
from featurestore.errors import InvalidInputError
from featurestore.identity import canonical_json
from featurestore.machine.cluster import chosen_cluster
from featurestore.machine.memory import machine_memory
from featurestore.machine.pool import Pool, worker_pool
from featurestore.store import FeatureStore
from featurestore.stored_structures import stored_crystals
from featurestore.tables.runs import Run
from ingest.pipeline.engines import InWorkers
from ingest.pipeline.failures import still_to_do
from ingest.pipeline.job import Job, run_job
from ingest.pipeline.outcome import Outcome
from ingest.stages.selection import Selection
from ingest.text.base import GeneratorSpec, Sentence, TextGenerator, TextPart
from ingest.text.registry import text_part

_STRUCTURES_A_WRITE = 500
_SHARE_OF_MEMORY = 0.8

_worker_generator: tuple[TextPart, TextGenerator] | None = None


def ingest_text(
    store: FeatureStore,
    source: str,
    *,
    settings: Mapping[str, Any],
    selection: Selection,
    workers: int,
    time_limit: float,
    memory_limit: int | None = None,
    retry_failures: bool,
    run: Run,
    pool: Pool | None = None,
) -> Outcome:
    """Describe every chosen structure that this generator has not described yet.

    Parameters
    ----------
    source : str
        One of `ingest.text.registry.text_sources`.
    settings : mapping
        Of its generator, other than the defaults.
    workers : int
        Number of processes.
    time_limit : float
        Seconds that one structure may take; a slower one is a failure.
    memory_limit : int, optional
        Bytes that a process may allocate; a structure that needs more is a failure. Default: all
        of them together four fifths of the machine's.
    pool : Pool, optional
        Of `describing_pool`, which goes on living; by default processes for this call alone.

    Raises
    ------
    UnknownNameError, InvalidInputError
        If there is no such source, or a setting is unknown or does not suit.
    MissingPackageError, PartImportError, PartConflictError, NotAPartError
        If the package that adds the source is not whole.
    """
    part = text_part(source)
    spec = part.generator(settings).spec
    outcome = Outcome("structures described")
    with store.session() as session:
        described = session.query(
            "SELECT DISTINCT structure_id FROM sentences WHERE generator_id = ?",
            [spec.generator_id],
        )
        todo = still_to_do(
            store,
            "text",
            spec.generator_id,
            selection.structure_ids(session),
            set(described["structure_id"].to_pylist()),
            retry_failures,
            outcome,
        )
        if not todo:
            return outcome
        _register(store, part, spec, run)
        workers = min(workers, len(todo))
        engine = InWorkers(
            work=_describe,
            workers=workers,
            initializer=_start_worker,
            initargs=(source, dict(settings), spec.generator_id),
            time_limit=time_limit,
            memory_limit=memory_limit or _memory_of_each(workers),
            pool=pool,
        )
        job = Job(
            stage="text",
            context=spec.generator_id,
            label=source,
            unit="structures",
            table="sentences",
            write=partial(_write, store, spec.generator_id, run),
            items_a_write=_STRUCTURES_A_WRITE,
        )
        run_job(store, job, engine, stored_crystals(session, todo), len(todo), outcome, run)
    return outcome


def describing_pool(source: str, settings: Mapping[str, Any], workers: int) -> Pool:
    """Processes that describe by one generator, for several calls of `ingest_text`."""
    initargs = (source, dict(settings), None)
    return worker_pool(workers, _start_worker, initargs, _memory_of_each(workers))


def _memory_of_each(workers: int) -> int | None:
    """An equal share of this machine's; on a cluster Ray watches the memory of each node."""
    if chosen_cluster() is not None:
        return None
    return int(machine_memory() * _SHARE_OF_MEMORY / workers)


def _register(store: FeatureStore, part: TextPart, spec: GeneratorSpec, run: Run) -> None:
    row: dict[str, Any] = {
        "generator_id": spec.generator_id,
        "source": spec.source,
        "tags": list(part.tags),
        "reference_tags": list(part.reference_tags),
        "fingerprint": canonical_json(dict(spec.fingerprint)),
        "created_at": datetime.now(UTC),
        "run_id": run.run_id,
    }
    store.merge_rows("generators", [row])


def _write(
    store: FeatureStore, generator_id: str, run: Run, described: dict[str, list[Sentence]]
) -> None:
    rows = [
        {
            "structure_id": structure_id,
            "generator_id": generator_id,
            "position": position,
            "tag": sentence.tag,
            "reference_tags": list(sentence.reference_tags),
            "sentence": sentence.text,
            "run_id": run.run_id,
        }
        for structure_id, sentences in described.items()
        for position, sentence in enumerate(sentences)
    ]
    store.merge_rows("sentences", rows)


def _start_worker(source: str, settings: Mapping[str, Any], generator_id: str | None) -> None:
    global _worker_generator
    part = text_part(source)
    made = part.generator(settings)
    if generator_id not in (None, made.spec.generator_id):
        raise InvalidInputError(
            f"{source} makes {made.spec.generator_id} there, not {generator_id}: it has other "
            "versions or settings"
        )
    made.warm_up()
    _worker_generator = part, made


def _describe(crystal: Crystal) -> list[Sentence]:
    assert _worker_generator is not None
    part, made = _worker_generator
    sentences = made.describe(crystal)
    if not any(sentence.text.strip() for sentence in sentences):
        raise ValueError("the description is empty")
    part.check_tags(sentences)
    return sentences
