"""The store of made-up cells on which forecasts are tested, copied for each test."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import forecast_lab as lab
import pytest

from featurestore.store import FeatureStore


@pytest.fixture(scope="session")
def lab_original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder with the store in it, and the id of a model of scikit-learn's on both vectors."""
    folder = tmp_path_factory.mktemp("lab")
    with pytest.MonkeyPatch.context() as patch:
        lab.install_lab(folder / "site", patch)
        store = lab.make_lab_store(folder)
        model_id = lab.train_lab(store)
        yield folder, model_id
    sys.modules.pop("lab_of_cubes", None)


@pytest.fixture
def lab_model(lab_original: tuple[Path, str]) -> str:
    return lab_original[1]


@pytest.fixture
def lab_store(
    lab_original: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> FeatureStore:
    """A copy of the store, with the package installed."""
    folder, _ = lab_original
    shutil.copytree(folder / "store", tmp_path / "store")
    monkeypatch.syspath_prepend(folder / "site")
    return FeatureStore.open(tmp_path / "store")
