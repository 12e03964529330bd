"""Vectors that follow from stored ones: a projection needs its base's vectors, and no encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.catalogue import Encoder
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from featurestore.tables.schemas import embedding_table
from featurestore.vectors import Vectors
from ingest.encoders.base import EncoderSpec
from ingest.pipeline.outcome import Outcome

_ROWS_A_WRITE = 16384


@runtime_checkable
class Projecting(Protocol):
    """An encoder whose vectors follow from another's."""

    spec: EncoderSpec
    base: Encoder

    def project(self, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Its vectors, float32 (n, dimension), for the base's."""
        ...


def project_stored(
    store: FeatureStore,
    session: Session,
    encoder: Projecting,
    ids: Sequence[str],
    outcome: Outcome,
    run: Run,
) -> list[str]:
    """Write the vectors of those ids that the base has encoded; returns the others, in order.

    A vector without a finite projection is left among the others, where it fails by name.
    """
    base = Vectors.of(session, encoder.base)
    lacking = set(base.missing(ids))
    there = [one for one in ids if one not in lacking]
    done = set()
    for first in range(0, len(there), _ROWS_A_WRITE):
        part = there[first : first + _ROWS_A_WRITE]
        projected = encoder.project(base.read(part))
        kept = np.flatnonzero(np.isfinite(projected).all(axis=1))
        if not len(kept):
            continue
        table = _rows(session, encoder, [part[row] for row in kept], projected[kept], run)
        name = embedding_table(encoder.spec.kind, encoder.spec.encoder_id)
        outcome.written += store.merge(name, table).written
        done |= {part[row] for row in kept}
    if done:
        outcome.notes.append(
            f"{len(done):,} projected from the stored vectors of {encoder.base.encoder_id}"
        )
    return [one for one in ids if one not in done]


def _rows(
    session: Session,
    encoder: Projecting,
    ids: list[str],
    vectors: npt.NDArray[np.float32],
    run: Run,
) -> pa.Table:
    key = f"{encoder.spec.kind}_id"
    flat = pa.array(np.ascontiguousarray(vectors).reshape(-1))
    columns: dict[str, Any] = {
        key: pa.array(ids),
        "vector": pa.FixedSizeListArray.from_arrays(flat, encoder.spec.dimension),
        "run_id": pa.repeat(run.run_id, len(ids)),
    }
    if encoder.spec.kind == "text":  # as long, and as truncated, as the base found them
        dataset = session.dataset(embedding_table("text", encoder.base.encoder_id))
        assert dataset is not None
        lengths = dataset.to_table(columns=[key, "n_tokens", "truncated"])
        place = pc.index_in(columns[key], lengths[key].combine_chunks())
        for name in ("n_tokens", "truncated"):
            columns[name] = lengths[name].combine_chunks().take(place)
    return pa.table(columns)
