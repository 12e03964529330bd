"""A store with properties of two and of three classes, and models of both."""

from __future__ import annotations

import shutil
from pathlib import Path

import class_lab as lab
import pytest

import train
from featurestore.store import FeatureStore


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[str]]]:
    """The folder of a store, and the ids of its models by property: two seeds, and a constant."""
    store = lab.make_class_store(tmp_path_factory.mktemp("classes") / "store")
    ids: dict[str, list[str]] = {}
    for name in lab.RULES:
        asked = lab.request(name, "structure+text")
        found = [
            train.fit(store, asked, "sklearn", estimator="LogisticRegression", seed=seed)
            for seed in (0, 1)
        ]
        found.append(train.fit(store, asked, "frequencies"))
        ids[name] = [one.model.model_id for one in found]
    return Path(store.uri), ids


@pytest.fixture
def store(trained: tuple[Path, dict[str, list[str]]], tmp_path: Path) -> FeatureStore:
    """A copy of the store."""
    shutil.copytree(trained[0], tmp_path / "store")
    return FeatureStore.open(tmp_path / "store")


@pytest.fixture
def ids(trained: tuple[Path, dict[str, list[str]]]) -> dict[str, list[str]]:
    return trained[1]
