"""Stage 3: descriptions of structures, as tagged sentences, into ``sentences``."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from featurestore.crystal import Crystal
from featurestore.failure import Failure
from featurestore.identity import canonical_json
from featurestore.progress import progress_bar
from featurestore.runs import Run
from featurestore.store import FeatureStore
from ingest.runner import run_parallel
from ingest.stages.crystals import stored_crystals
from ingest.stages.outcome import Outcome
from ingest.stages.selection import Selection
from ingest.text import TAGS, generator
from ingest.text.base import GeneratorSpec, Sentence, TextGenerator

_SECONDS_A_WRITE = 20.0
_STRUCTURES_A_WRITE = 500

_worker_generator: TextGenerator | None = None


def ingest_text(
    store: FeatureStore,
    source: str,
    *,
    guess_oxidation_states: bool,
    selection: Selection,
    workers: int,
    time_limit: float,
    retry_failures: bool,
    run: Run,
) -> Outcome:
    """Describe every chosen structure that this generator has not described yet.

    Parameters
    ----------
    source : str
        One of `ingest.text.TEXT_SOURCES`.
    guess_oxidation_states : bool
        As for `ingest.text.generator`.
    workers : int
        Number of processes.
    time_limit : float
        Seconds that one structure may take; a slower one is a failure.
    """
    spec = generator(source, guess_oxidation_states=guess_oxidation_states).spec
    outcome = Outcome("structures described")
    with store.session() as session:
        chosen = selection.structure_ids(session)
        described = set(
            session.query(
                "SELECT DISTINCT structure_id FROM sentences WHERE generator_id = ?",
                [spec.generator_id],
            )["structure_id"].to_pylist()
        )
        failed = store.failed_items("text", spec.generator_id)
        todo = [name for name in chosen if name not in described]
        outcome.present = len(chosen) - len(todo)
        if not retry_failures:
            outcome.failed_before = sum(name in failed for name in todo)
            todo = [name for name in todo if name not in failed]
        if not todo:
            return outcome
        _register(store, spec, run)
        waiting: dict[str, list[Sentence]] = {}
        done: list[str] = []
        last_write = time.monotonic()
        with progress_bar(len(todo), source, "structures") as progress:
            results = run_parallel(
                _describe,
                stored_crystals(session, todo),
                workers=min(workers, len(todo)),
                initializer=_start_worker,
                initargs=(source, guess_oxidation_states),
                time_limit=time_limit,
            )
            try:
                for structure_id, result in results:
                    progress.update()
                    if isinstance(result, Failure):
                        outcome.failures[structure_id] = result
                    else:
                        waiting[structure_id] = result
                        done.append(structure_id)
                    due = time.monotonic() - last_write > _SECONDS_A_WRITE
                    if due or len(waiting) >= _STRUCTURES_A_WRITE:
                        _write(store, spec.generator_id, waiting, outcome, run)
                        waiting, last_write = {}, time.monotonic()
            finally:
                _write(store, spec.generator_id, waiting, outcome, run)
                store.record_failures("text", spec.generator_id, outcome.failures, run)
                store.clear_failures("text", spec.generator_id, done)
    store.compact("sentences")
    return outcome


def _register(store: FeatureStore, spec: GeneratorSpec, run: Run) -> None:
    store_tags, reference_tags = TAGS[spec.source]
    row: dict[str, Any] = {
        "generator_id": spec.generator_id,
        "source": spec.source,
        "tags": list(store_tags),
        "reference_tags": list(reference_tags),
        "fingerprint": canonical_json(dict(spec.fingerprint)),
        "created_at": datetime.now(UTC),
        "run_id": run.run_id,
    }
    store.merge_rows("generators", [row])


def _write(
    store: FeatureStore,
    generator_id: str,
    described: dict[str, list[Sentence]],
    outcome: Outcome,
    run: Run,
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
    outcome.written += len(described)
    run.counts = outcome.counts()


def _start_worker(source: str, guess_oxidation_states: bool) -> None:
    global _worker_generator
    _worker_generator = generator(source, guess_oxidation_states=guess_oxidation_states)
    _worker_generator.warm_up()


def _describe(crystal: Crystal) -> list[Sentence]:
    assert _worker_generator is not None
    sentences = _worker_generator.describe(crystal)
    if not any(sentence.text.strip() for sentence in sentences):
        raise ValueError("the description is empty")
    return sentences
