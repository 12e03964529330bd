"""Vectors in clusters, and how they get into a store of made-up materials."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from synthetic_store import STRUCTURE_ENCODER

from featurestore.store import FeatureStore
from featurestore.tables.schemas import embedding_table, table_schema

N = 60
STRUCTURE_TABLE = embedding_table("structure", STRUCTURE_ENCODER)


def clustered(n: int, width: int = 4, seed: int = 0) -> np.ndarray:
    """Vectors in clusters, shape (n, width), float32."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(30, width)) * 3
    return (centres[rng.integers(0, 30, n)] + rng.normal(size=(n, width))).astype(np.float32)


def add_structures(store: FeatureStore, vectors: np.ndarray, first: int) -> None:
    """Materials and vectors of further structures, from the number ``first`` on."""
    numbers = range(first, first + len(vectors))
    template = store.dataset("materials").to_table().slice(0, 1).to_pylist()[0]
    store.merge_rows(
        "materials",
        [
            template | {"material_id": f"more-{n:05}", "structure_id": f"more-structure-{n:05}"}
            for n in numbers
        ],
    )
    rows = [
        {"structure_id": f"more-structure-{n:05}", "vector": vector.tolist(), "run_id": "toy-run"}
        for n, vector in zip(numbers, vectors, strict=True)
    ]
    schema = table_schema(STRUCTURE_TABLE, vectors.shape[1]).schema
    store.merge(STRUCTURE_TABLE, pa.Table.from_pylist(rows, schema=schema))
