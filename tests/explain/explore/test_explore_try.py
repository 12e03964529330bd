from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import forecast_lab as lab
import pytest
from served_pages import client_of
from starlette.testclient import TestClient

from explain.explore import trying
from explain.explore.engine import Limits
from explain.explore.safety import Guard
from featurestore.preparation import MissingVersionError
from featurestore.store import FeatureStore


@pytest.fixture(scope="module")
def laboratory(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[FeatureStore, TestClient]]:
    """A store whose encoders and texts come from a package that is installed, with a model."""
    folder = tmp_path_factory.mktemp("lab")
    with pytest.MonkeyPatch.context() as patch:
        lab.install_lab(folder / "site", patch)
        store = lab.make_lab_store(folder)
        with client_of(store.uri, Guard(), Limits(processes=0)) as client:
            yield store, client
    sys.modules.pop("lab_of_cubes", None)


def contents(store: FeatureStore) -> dict[Path, tuple[int, int]]:
    files = (path for path in Path(store.uri).rglob("*") if path.is_file())
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def bring(client: TestClient, text: str, **more: str) -> str:
    answer = client.post("/try", files={"file": ("POSCAR", text)}, data=more)
    assert answer.status_code == 200
    return answer.text


def test_a_file_is_compared_and_predicted_and_nothing_of_it_is_kept(
    laboratory: tuple[FeatureStore, TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, client = laboratory
    before = contents(store)
    page = bring(client, lab.poscar(4.35))
    assert "the store has no model that predicts" in page
    nearest = sorted(range(lab.N), key=lambda i: abs(lab.edge(i) - 4.35))[:3]
    found = re.findall(r"/material\?id=(known-\d\d)", page)
    assert set(found) >= {f"known-{i:02}" for i in nearest}
    assert contents(store) == before
    model = lab.train_lab(store)
    before = contents(store)
    page = bring(client, lab.poscar(4.35), why="on")
    with_interval = re.search(r'<td class="n">([\d.]+)\s*eV</td><td class="n">([\d.]+) to', page)
    assert with_interval, page[-4000:]
    told = float(with_interval[1])
    expected = client.get("/api/model/points", params={"id": model}).json()["rows"]
    near = [row["prediction"] for row in expected if row["material_id"] in found]
    assert min(near) - 0.3 < told < max(near) + 0.3
    assert "<h2>Why</h2>" in page
    assert 'role="alert"' in (refused := bring(client, lab.poscar(4.35), model="nobody"))
    assert "nobody" in refused and "<h2>Predictions</h2>" not in refused
    chosen = bring(client, lab.poscar(4.35), model=model)
    assert f'value="{model}" selected' in chosen and with_interval[0] in chosen

    def lacks(*given: object) -> None:
        raise MissingVersionError("the weights are not here")

    monkeypatch.setattr(trying, "_predicted", lacks)
    page = bring(client, lab.poscar(4.35))
    assert "nothing is predicted: the weights are not here" in page
    assert f"/material?id={found[0]}" in page, "what it is like is said"
    assert contents(store) == before, "nothing is stored"


def test_what_is_no_structure_or_several_is_said(
    laboratory: tuple[FeatureStore, TestClient],
) -> None:
    _, client = laboratory
    assert "no structure" in bring(client, "<script>alert(1)</script>")
    cell = lab.poscar(5.0)
    assert "no structure" in bring(client, cell.replace("Cs", "<b>"))
