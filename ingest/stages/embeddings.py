"""Stage 4: vectors of structures and texts into the encoder's own table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.catalogue import Generator, find_generator
from featurestore.errors import MissingDataError
from featurestore.failure import Failure
from featurestore.identity import canonical_json
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
from ingest.pipeline.engines import InThisProcess
from ingest.pipeline.failures import still_to_do
from ingest.pipeline.job import Job, run_job
from ingest.pipeline.outcome import Outcome
from ingest.stages.selection import Selection
from ingest.stages.variants import texts_asked_for

# Large enough for an encoder to pack its batches well, small enough to lose little to a kill.
_ITEMS_A_CALL = 256
_ITEMS_A_WRITE = 4096


def ingest_structure_embeddings(
    store: FeatureStore,
    encoder: StructureEncoder,
    *,
    selection: Selection,
    retry_failures: bool,
    run: Run,
) -> Outcome:
    """Encode every chosen structure that this encoder has not encoded yet."""
    outcome = Outcome("structures encoded")
    with store.session() as session:
        todo = _missing(
            store, session, encoder.spec, selection.structure_ids(session), retry_failures, outcome
        )
        _encode(store, encoder, stored_crystals(session, todo), len(todo), outcome, run)
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
) -> Outcome:
    """Encode every distinct text of the chosen structures and variants that lacks a vector.

    Raises
    ------
    UnknownNameError
        If the text source or a tag of a variant is unknown.
    InvalidInputError
        If a variant has another form, or names a sentence or word that a text does not have.
    MissingDataError
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
        items = ((text_id, texts[text_id]) for text_id in todo)
        _encode(store, encoder, items, len(todo), outcome, run)
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
        raise MissingDataError(
            f"material {lacking[0]} has no {generator.source} text; make it with: featurestore "
            f"ingest text --source {generator.source} --material {lacking[0]}"
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


def _encode(
    store: FeatureStore,
    encoder: StructureEncoder | TextEncoder,
    items: Iterable[tuple[str, Any]],
    total: int,
    outcome: Outcome,
    run: Run,
) -> None:
    if not total:
        return
    spec = encoder.spec
    _register(store, spec, run)

    def encode(values: Sequence[Any]) -> list[StructureVector | TextVector | Failure]:
        return [_checked(result, spec) for result in encoder.encode(values)]

    job = Job(
        "embeddings",
        spec.encoder_id,
        spec.name,
        f"{spec.kind}s",
        embedding_table(spec.kind, spec.encoder_id),
        partial(_write, store, spec, run),
        _ITEMS_A_WRITE,
    )
    run_job(store, job, InThisProcess(encode, _ITEMS_A_CALL), items, total, outcome, run)


def _checked(
    result: StructureVector | TextVector | Failure, spec: EncoderSpec
) -> StructureVector | TextVector | Failure:
    """A vector that cannot be stored is one material's failure, not the whole write's."""
    if isinstance(result, Failure):
        return result
    if result.vector.shape != (spec.dimension,):
        return Failure(
            "WrongWidth",
            f"{spec.encoder_id} gives a vector of shape {result.vector.shape}, its dimension is "
            f"{spec.dimension}",
        )
    if not np.isfinite(result.vector).all():
        return Failure("NotFinite", f"{spec.encoder_id} gives a vector with NaN or infinity")
    return result


def _register(store: FeatureStore, spec: EncoderSpec, run: Run) -> None:
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
    flat = np.concatenate([result.vector for result in vectors.values()]).astype(np.float32)
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
