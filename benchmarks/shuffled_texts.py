"""The control of what texts say: each text's vector stored under another text."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from featurestore.catalogue import OWN_VECTORS, Encoder, find_encoder
from featurestore.identity import canonical_json, versioned_id
from featurestore.store import FeatureStore
from featurestore.tables.schemas import embedding_table
from featurestore.vectors import Vectors


def shuffled(store: FeatureStore, base: str, seed: int = 0) -> str:
    """Store each text's vector under another text, as the encoder `shuffled`; returns its id.

    What a model gains from these it does not gain from what the texts say.
    """
    with store.session() as session:
        encoder = find_encoder(session, base, "text")
        vectors = Vectors.of(session, encoder)
        ids = sorted(vectors.ids.to_pylist())
        found = vectors.read(ids)
    fingerprint = {
        "part": OWN_VECTORS,
        "shuffled": encoder.encoder_id,
        "seed": seed,
        "texts": len(ids),
    }
    control = Encoder(
        versioned_id("shuffled", fingerprint),
        "shuffled",
        "text",
        encoder.dimension,
        encoder.segments,
        fingerprint,
    )
    # A rotation of a random order: no text keeps its own.
    order = np.random.default_rng(seed).permutation(len(ids))
    other = np.empty_like(order)
    other[order] = np.roll(order, 1)
    with store.run("shuffled control", {"base": encoder.encoder_id, "seed": seed}) as run:
        store.merge_rows("encoders", [_row(control, run.run_id)])
        flat = pa.array(np.ascontiguousarray(found[other]).reshape(-1))
        table = pa.table(
            {
                "text_id": ids,
                "vector": pa.FixedSizeListArray.from_arrays(flat, encoder.dimension),
                "run_id": [run.run_id] * len(ids),
                "n_tokens": pa.array([1] * len(ids), pa.int32()),
                "truncated": [False] * len(ids),
            }
        )
        store.merge(embedding_table("text", control.encoder_id), table)
    return control.encoder_id


def _row(encoder: Encoder, run_id: str) -> dict[str, object]:
    return {
        "encoder_id": encoder.encoder_id,
        "name": encoder.name,
        "kind": encoder.kind,
        "dimension": encoder.dimension,
        "segments": [{"name": n, "start": a, "stop": b} for n, a, b in encoder.segments],
        "fingerprint": canonical_json(encoder.fingerprint),
        "created_at": datetime.now(UTC),
        "run_id": run_id,
    }
