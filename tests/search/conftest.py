"""A store of made-up materials with sentences, properties and both kinds of vectors."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from search_store import N
from synthetic_store import make_store

from featurestore.store import FeatureStore


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
