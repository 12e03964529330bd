"""A small store in which everything hangs together: ids are hashes, every row has its run."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from featurestore.crystal import Crystal
from featurestore.identity import canonical_json, text_id, versioned_id
from featurestore.store import FeatureStore
from featurestore.tables.schemas import embedding_table, table_schema
from train.predictors.mlp import MLP
from train.training import train_model

N = 20
PROPERTY = "mbj_bandgap"
SPLIT = "toy"
TAGS = ("bond length", "summary")
SOURCE = "toytext"
GENERATOR = versioned_id(SOURCE, {"version": 1})
STRUCTURE_ENCODER = versioned_id("toy-graph", {"version": 1})
TEXT_ENCODER = versioned_id("toy-words", {"version": 1})
STRUCTURE_TABLE = embedding_table("structure", STRUCTURE_ENCODER)
TEXT_TABLE = embedding_table("text", TEXT_ENCODER)
FILE_SHA256 = "ab" * 32
RECIPE = MLP(widths=(8,), max_epochs=2)


def crystal(index: int) -> Crystal:
    """A rock salt cell, larger with every index."""
    return Crystal(
        (3.0 + index / 10) * np.eye(3),
        ("Na", "Cl"),
        np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]]),
    )


def sentences(index: int) -> list[tuple[str, str]]:
    """Tag and sentence: a summary, and bond lengths for even indices."""
    found = [("summary", f"Material {index} is salty.")]
    return found + ([("bond length", f"Its bonds take {index} Å.")] if index % 2 == 0 else [])


def texts(index: int) -> list[str]:
    """The full text, and the one without bond lengths."""
    every = sentences(index)
    return [
        " ".join(sentence for _, sentence in every),
        " ".join(sentence for tag, sentence in every if tag != "bond length"),
    ]


def make_whole_store(folder: Path, n: int = N, train: bool = True) -> FeatureStore:
    """The store; its model is trained on both vectors."""
    store = FeatureStore.open(folder, create=True)
    arguments = {"source_sha256": {"some/toy.json": FILE_SHA256}}
    with store.run("ingest structures", arguments) as run:
        ingest_materials(store, range(n), run.run_id)
    with store.run("ingest splits", {}) as run:
        folds = [
            {"material_id": f"toy-{i:03}", "fold": {3: "val", 4: "test"}.get(i % 5, "train")}
            for i in range(n)
        ]
        shared = {"split": SPLIT, "property": PROPERTY, "run_id": run.run_id}
        store.merge_rows("splits", [row | shared for row in folds])
    with store.run("ingest text", {}) as run:
        ingest_sentences(store, range(n), run.run_id)
    with store.run("ingest embeddings", {}) as run:
        register_encoder(store, "toy-graph", "structure", {"version": 1}, 4, run.run_id)
        register_encoder(store, "toy-words", "text", {"version": 1}, 3, run.run_id)
        ingest_vectors(store, STRUCTURE_TABLE, [crystal(i).structure_id for i in range(n)], run)
        ids = sorted({text_id(text) for i in range(n) for text in texts(i)})
        ingest_vectors(store, TEXT_TABLE, ids, run)
    if train:
        train_model(store, store.training_view(PROPERTY, **view_choices()), RECIPE, seed=0)
    return store


def view_choices() -> dict[str, str]:
    """What `training_view` needs."""
    return {
        "structure_encoder": "toy-graph",
        "text_source": SOURCE,
        "text_encoder": "toy-words",
        "split": SPLIT,
    }


def ingest_materials(store: FeatureStore, indices: range, run_id: str) -> None:
    materials = [
        {
            "material_id": f"toy-{i:03}",
            "structure_id": crystal(i).structure_id,
            "dataset": "toy",
            "source_file": "toy.json",
            "formula": "NaCl",
            "prototype": "AB",
            "n_atoms": 2,
            "volume": crystal(i).volume,
            "space_group_number": 221,
            "space_group": "Pm-3m",
            "crystal_system": "cubic",
            "point_group": "m-3m",
            "lattice": crystal(i).lattice.reshape(-1).tolist(),
            "species": list(crystal(i).species),
            "frac_coords": crystal(i).frac_coords.reshape(-1).tolist(),
            "run_id": run_id,
        }
        for i in indices
    ]
    store.merge_rows("materials", materials)
    values = [
        {
            "material_id": f"toy-{i:03}",
            "property": PROPERTY,
            "source": "toy",
            "value": float(i),
            "unit": "eV",
            "run_id": run_id,
        }
        for i in indices
    ]
    store.merge_rows("properties", values)


def ingest_sentences(store: FeatureStore, indices: range, run_id: str) -> None:
    generator = {
        "generator_id": GENERATOR,
        "source": SOURCE,
        "tags": list(TAGS),
        "reference_tags": list(TAGS),
        "fingerprint": canonical_json({"version": 1}),
        "created_at": datetime.now(UTC),
        "run_id": run_id,
    }
    store.merge_rows("generators", [generator])
    rows = [
        {
            "structure_id": crystal(i).structure_id,
            "generator_id": GENERATOR,
            "position": position,
            "tag": tag,
            "reference_tags": [tag],
            "sentence": sentence,
            "run_id": run_id,
        }
        for i in indices
        for position, (tag, sentence) in enumerate(sentences(i))
    ]
    store.merge_rows("sentences", rows)


def register_encoder(
    store: FeatureStore, name: str, kind: str, parts: dict[str, int], width: int, run_id: str
) -> str:
    """Put an encoder on record; its id."""
    row = {
        "encoder_id": versioned_id(name, parts),
        "name": name,
        "kind": kind,
        "dimension": width,
        "segments": [{"name": "all", "start": 0, "stop": width}],
        "fingerprint": canonical_json(parts),
        "created_at": datetime.now(UTC),
        "run_id": run_id,
    }
    store.merge_rows("encoders", [row])
    return str(row["encoder_id"])


def vectors(ids: list[str], width: int, noise: float = 0.0) -> np.ndarray:
    """A vector for each id that depends on it alone, but for the noise: (n, width), float32."""
    found = [np.random.default_rng(int(i[:8], 16)).normal(size=width) for i in ids]
    other = np.random.default_rng(0).normal(size=(len(ids), width))
    return (np.stack(found) + noise * other).astype(np.float32)


def ingest_vectors(
    store: FeatureStore, table: str, ids: list[str], run: object, noise: float = 0.0, width: int = 0
) -> None:
    kind = table.split("_")[0]
    width = width or (4 if kind == "structure" else 3)
    extra = {"n_tokens": 9, "truncated": False} if kind == "text" else {}
    rows = [
        {f"{kind}_id": name, "vector": vector.tolist(), **extra, "run_id": run.run_id}
        for name, vector in zip(ids, vectors(ids, width, noise), strict=True)
    ]
    store.merge(table, pa.Table.from_pylist(rows, schema=table_schema(table, width).schema))
