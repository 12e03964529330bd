"""A store of made-up materials in clusters, with sentences and both kinds of vectors."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from synthetic_store import STRUCTURE_ENCODER, TEXT_ENCODER, make_store

from featurestore.schemas import embedding_table, table_schema
from featurestore.store import FeatureStore

N = 60
STRUCTURE_TABLE = embedding_table("structure", STRUCTURE_ENCODER)
TEXT_TABLE = embedding_table("text", TEXT_ENCODER)


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search") / "store"
    store = make_store(folder, N, erased=["summary"])
    systems = ("cubic", "hexagonal", "triclinic")
    materials = store.dataset("materials").to_table().to_pylist()
    for number, row in enumerate(sorted(materials, key=lambda row: row["material_id"])):
        row["crystal_system"] = systems[number % 3]
    store.remove("materials", "true")
    store.merge_rows("materials", materials)
    store.merge_rows(
        "properties",
        [
            {
                "material_id": f"toy-{number:03}",
                "property": name,
                "source": source,
                "value": float(number),
                "unit": "GPa",
                "run_id": "toy-run",
            }
            for number in range(0, N, 2)
            for name, source in (
                ("bulk modulus", "toy"),
                ("n_atoms", "toy"),
                ("hardness", "toy"),
                ("hardness", "other"),
            )
        ],
    )
    return folder


@pytest.fixture
def store(toy_folder: Path, tmp_path: Path) -> FeatureStore:
    return FeatureStore.open(shutil.copytree(toy_folder, tmp_path / "store"))


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
