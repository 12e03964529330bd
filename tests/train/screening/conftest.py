"""The store of made-up cells with a second property and a model of it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import forecast_lab as lab
import pytest

from featurestore.store import FeatureStore
from train.library import fit

SECOND = "ehull"


def second(index: int) -> float:
    """A hull distance that rises with the edge, in eV/atom."""
    return (lab.edge(index) - 3.3) / 10


@pytest.fixture(scope="session")
def pair_original(
    lab_original: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder with the store, and for each property the id of its model."""
    made, first_model = lab_original
    folder = tmp_path_factory.mktemp("pair")
    shutil.copytree(made / "store", folder / "store")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(made / "site")
        store = FeatureStore.open(folder / "store")
        known = store.sql("SELECT material_id, source FROM properties").to_pylist()
        with store.run("made up", {}) as run:
            rows = [
                {
                    "material_id": row["material_id"],
                    "property": SECOND,
                    "source": row["source"],
                    "value": second(int(row["material_id"].rpartition("-")[2])),
                    "unit": "eV/atom",
                    "run_id": run.run_id,
                }
                for row in known
            ]
            store.merge_rows("properties", rows)
            folds = store.sql("FROM splits").to_pylist()
            store.merge_rows(
                "splits", [row | {"property": SECOND, "run_id": run.run_id} for row in folds]
            )
        view = store.training_view(SECOND, **lab.CHOICES)
        found = fit(store, view, "sklearn", estimator="RandomForestRegressor", n_estimators=12)
    yield folder, {lab.PROPERTY: first_model, SECOND: found.model.model_id}
    sys.modules.pop("lab_of_cubes", None)


@pytest.fixture
def pair_models(pair_original: tuple[Path, dict[str, str]]) -> dict[str, str]:
    return pair_original[1]


@pytest.fixture
def pair_store(
    pair_original: tuple[Path, dict[str, str]],
    lab_original: tuple[Path, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> FeatureStore:
    """A copy of the store, with the package installed."""
    shutil.copytree(pair_original[0] / "store", tmp_path / "pair")
    monkeypatch.syspath_prepend(lab_original[0] / "site")
    return FeatureStore.open(tmp_path / "pair")
