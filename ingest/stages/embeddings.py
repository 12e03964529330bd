"""Stage 4: vectors of structures and texts into the encoder's own table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.catalogue import Generator, find_generator
from featurestore.commands import describing_command
from featurestore.crystal import Crystal
from featurestore.errors import FeatureStoreError, InvalidInputError, MissingContentError
from featurestore.failure import Failure
from featurestore.identity import canonical_json, text_id
from featurestore.machine.cluster import chosen_cluster
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.stored_structures import stored_crystals
from featurestore.tables.runs import Run
from featurestore.tables.schemas import TABLES, embedding_table
from ingest.encoders.base import (
    EncoderSpec,
    StructureEncoder,
    StructureVector,
    TextEncoder,
    TextVector,
)
from ingest.pipeline.engines import BatchesInWorkers, Engine, InThisProcess
from ingest.pipeline.failures import still_to_do
from ingest.pipeline.job import Job, run_job
from ingest.pipeline.outcome import Outcome
from ingest.stages.projection import Projecting, project_stored
from ingest.stages.selection import Selection
from ingest.stages.variants import texts_asked_for

# Large enough for an encoder to pack its batches well, small enough to lose little to a kill.
_ITEMS_A_CALL = 256
_ITEMS_A_WRITE = 4096
# On a cluster: some seconds of work, which are lost where a worker is.
_ITEMS_A_WORKER = 32
_SECONDS_A_CALL = 600.0

_worker_encoder: StructureEncoder | TextEncoder | None = None


@dataclass(frozen=True)
class Named:
    """How workers of a cluster get an encoder: by its name or folder, and its settings."""

    name: str
    settings: Mapping[str, Any]


def ingest_structure_embeddings(
    store: FeatureStore,
    encoder: StructureEncoder,
    *,
    selection: Selection,
    retry_failures: bool,
    run: Run,
    named: Named | None = None,
) -> Outcome:
    """Encode every chosen structure that this encoder has not encoded yet.

    On a cluster its workers load an encoder that is ``named``; without, this process encodes.

    Raises
    ------
    InvalidInputError
        If the encoder raises, gives another number of results than it was asked for, or something
        else than vectors.
    """
    outcome = Outcome("structures encoded")
    with store.session() as session:
        todo = _missing(
            store, session, encoder.spec, selection.structure_ids(session), retry_failures, outcome
        )
        todo = _projected(store, session, encoder, todo, outcome, run)
        _encode(store, encoder, stored_crystals(session, todo), len(todo), outcome, run, named)
    return outcome


def ingest_text_embeddings(
    store: FeatureStore,
    encoder: TextEncoder,
    *,
    source: str,
    variants: Sequence[str],
    selection: Selection,
    retry_failures: bool,
    run: Run,
    named: Named | None = None,
) -> Outcome:
    """Encode every distinct text of the chosen structures and variants that lacks a vector.

    Raises
    ------
    UnknownNameError
        If the text source or a tag of a variant is unknown.
    InvalidInputError
        If a variant has another form, or names a sentence or word that a text does not have; or as
        for `ingest_structure_embeddings`.
    MissingContentError
        If a material that was chosen by name has no text.
    """
    outcome = Outcome("distinct texts encoded")
    with store.session() as session:
        generator = find_generator(session, source)
        chosen = selection.structure_ids(session)
        if selection.materials:
            _check_described(session, generator, chosen)
        texts: dict[str, str] = {}
        asked = 0
        for rows in texts_asked_for(session, generator, chosen, variants):
            asked += rows.num_rows
            _record_renderings(store, generator, rows, run)
            texts |= dict(zip(rows["text_id"].to_pylist(), rows["text"].to_pylist(), strict=True))
        todo = _missing(store, session, encoder.spec, sorted(texts), retry_failures, outcome)
        if asked > len(texts):
            outcome.notes.append(f"{asked:,} texts asked for, {len(texts):,} of them distinct")
        todo = _projected(store, session, encoder, todo, outcome, run)
        items = ((text_id, texts[text_id]) for text_id in todo)
        _encode(store, encoder, items, len(todo), outcome, run, named)
    return outcome


def _check_described(session: Session, generator: Generator, structure_ids: Sequence[str]) -> None:
    """Raise if a structure that was chosen by name has no text."""
    lacking = session.query(
        "SELECT material_id FROM materials WHERE structure_id IN (SELECT unnest(?1)) AND "
        "structure_id NOT IN (SELECT structure_id FROM sentences WHERE generator_id = ?2) "
        "ORDER BY material_id",
        [list(structure_ids), generator.generator_id],
    )["material_id"].to_pylist()
    if lacking:
        raise MissingContentError(
            f"material {lacking[0]} has no {generator.source} text",
            [describing_command(session, generator, {"material": lacking[0]})],
        )


def _record_renderings(store: FeatureStore, generator: Generator, rows: pa.Table, run: Run) -> None:
    """What each text stands for, before its vector: so that every vector's text can be found."""
    rows = rows.filter(pc.not_equal(rows["variant"], "full"))
    # In the order of the variants' names: the same request records the same rows.
    first = rows.group_by("text_id", use_threads=False).aggregate(
        [("structure_id", "first"), ("variant", "first")]
    )
    if first.num_rows:
        table = pa.table(
            {
                "text_id": first["text_id"],
                "structure_id": first["structure_id_first"],
                "generator_id": pa.repeat(generator.generator_id, first.num_rows),
                "variant": first["variant_first"],
                "run_id": pa.repeat(run.run_id, first.num_rows),
            },
            schema=TABLES["renderings"].schema,
        )
        store.merge("renderings", table)


def _missing(
    store: FeatureStore,
    session: Session,
    spec: EncoderSpec,
    ids: Sequence[str],
    retry_failures: bool,
    outcome: Outcome,
) -> list[str]:
    """The ids that have no vector yet, in their order."""
    dataset = session.dataset(embedding_table(spec.kind, spec.encoder_id))
    key = f"{spec.kind}_id"
    present = set() if dataset is None else set(dataset.to_table([key])[key].to_pylist())
    return still_to_do(store, "embeddings", spec.encoder_id, ids, present, retry_failures, outcome)


def _projected(
    store: FeatureStore,
    session: Session,
    encoder: StructureEncoder | TextEncoder,
    todo: list[str],
    outcome: Outcome,
    run: Run,
) -> list[str]:
    """What is left to encode after what follows from stored vectors."""
    if not todo or not isinstance(encoder, Projecting):
        return todo
    register_encoder(store, encoder.spec, run)
    return project_stored(store, session, encoder, todo, outcome, run)


def _encode(
    store: FeatureStore,
    encoder: StructureEncoder | TextEncoder,
    items: Iterable[tuple[str, Any]],
    total: int,
    outcome: Outcome,
    run: Run,
    named: Named | None,
) -> None:
    if not total:
        return
    spec = encoder.spec
    register_encoder(store, spec, run)
    engine: Engine = InThisProcess(partial(_encoded, encoder), _ITEMS_A_CALL)
    if named is not None and chosen_cluster() is not None:
        engine = BatchesInWorkers(
            work=_encoded_by_worker,
            items_a_call=_ITEMS_A_WORKER,
            initializer=_start_worker,
            initargs=(named, spec.encoder_id),
            time_limit=_SECONDS_A_CALL,
        )
    job = Job(
        stage="embeddings",
        context=spec.encoder_id,
        label=spec.name,
        unit=f"{spec.kind}s",
        table=embedding_table(spec.kind, spec.encoder_id),
        write=partial(_write, store, spec, run),
        items_a_write=_ITEMS_A_WRITE,
    )
    run_job(store, job, engine, items, total, outcome, run)


def _encoded(
    encoder: StructureEncoder | TextEncoder, values: Sequence[Any]
) -> list[StructureVector | TextVector | Failure]:
    spec = encoder.spec
    among = f"{len(values)} {spec.kind}s, from {_name(values[0])} to {_name(values[-1])}"
    try:
        results = list(encoder.encode(values))
    except (FeatureStoreError, MemoryError):
        raise
    # Whatever a stranger's code raises; one item it cannot encode should have been a Failure.
    except Exception as error:
        raise InvalidInputError(
            f"the encoder {spec.encoder_id} failed on {among}: {type(error).__name__}: {error}"
        ) from error
    if len(results) != len(values):
        raise InvalidInputError(
            f"the encoder {spec.encoder_id} gave {len(results)} results for {among}: which "
            "belongs to which cannot be known, none of these is stored"
        )
    return [_checked(result, value, spec) for result, value in zip(results, values, strict=True)]


def _start_worker(named: Named, encoder_id: str) -> None:
    """Load the encoder, which has to be the very one that the driver has."""
    from ingest.encoders.load import load_encoder

    global _worker_encoder
    loaded = load_encoder(named.name, **named.settings)
    if loaded.spec.encoder_id != encoder_id:
        raise InvalidInputError(
            f"{named.name} is {loaded.spec.encoder_id} there, not {encoder_id}: its weights or "
            "versions are others"
        )
    _worker_encoder = loaded


def _encoded_by_worker(values: Sequence[Any]) -> list[StructureVector | TextVector | Failure]:
    assert _worker_encoder is not None
    return _encoded(_worker_encoder, values)


def _checked(
    result: StructureVector | TextVector | Failure, value: Crystal | str, spec: EncoderSpec
) -> StructureVector | TextVector | Failure:
    """A vector that cannot be stored is one item's failure, not the whole write's.

    Raises
    ------
    InvalidInputError
        If the result is of another class: that is the encoder's fault with every item.
    """
    if isinstance(result, Failure):
        return result
    expected = StructureVector if spec.kind == "structure" else TextVector
    if not isinstance(result, expected):
        raise InvalidInputError(
            f"the encoder {spec.encoder_id} gives a {type(result).__name__} for the {spec.kind} "
            f"{_name(value)}, not a {expected.__name__} or a Failure"
        )
    if result.vector.shape != (spec.dimension,):
        return Failure(
            "WrongWidth",
            f"{spec.encoder_id} gives a vector of shape {result.vector.shape}, its dimension is "
            f"{spec.dimension}",
        )
    # As it would be stored: a large float64 is an infinity then.
    with np.errstate(over="ignore"):
        vector = result.vector.astype(np.float32)
    if not np.isfinite(vector).all():
        return Failure("NotFinite", f"{spec.encoder_id} gives a vector with NaN or infinity")
    return replace(result, vector=vector)


def _name(value: Crystal | str) -> str:
    """The id of a structure or text."""
    return value.structure_id if isinstance(value, Crystal) else text_id(value)


def register_encoder(store: FeatureStore, spec: EncoderSpec, run: Run) -> None:
    """Write down what an encoder is; a second time changes nothing."""
    row = {
        "encoder_id": spec.encoder_id,
        "name": spec.name,
        "kind": spec.kind,
        "dimension": spec.dimension,
        "segments": [vars(segment) for segment in spec.segments],
        "fingerprint": canonical_json(dict(spec.fingerprint)),
        "created_at": datetime.now(UTC),
        "run_id": run.run_id,
    }
    store.merge_rows("encoders", [row])


def _write(
    store: FeatureStore,
    spec: EncoderSpec,
    run: Run,
    vectors: dict[str, StructureVector | TextVector],
) -> None:
    flat = np.concatenate([result.vector for result in vectors.values()])
    columns: dict[str, Any] = {
        f"{spec.kind}_id": pa.array(list(vectors)),
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(flat), spec.dimension),
        "run_id": pa.array([run.run_id] * len(vectors)),
    }
    if spec.kind == "text":
        texts = [result for result in vectors.values() if isinstance(result, TextVector)]
        columns["n_tokens"] = pa.array([result.n_tokens for result in texts], pa.int32())
        columns["truncated"] = pa.array([result.truncated for result in texts])
    store.merge(embedding_table(spec.kind, spec.encoder_id), pa.table(columns))
