"""A whole store, made once and copied for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from whole_store import make_whole_store

from featurestore.store import FeatureStore


@pytest.fixture(scope="session")
def whole_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "store"
    make_whole_store(folder)
    return folder


@pytest.fixture
def store(whole_folder: Path, tmp_path: Path) -> FeatureStore:
    return FeatureStore.open(shutil.copytree(whole_folder, tmp_path / "store"))
