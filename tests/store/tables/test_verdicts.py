"""What cannot be used is looked for once in a version; what takes its place is looked at again."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lance
import pyarrow as pa
import pytest

from featurestore.errors import DamagedRowsWarning
from featurestore.store import FeatureStore
from featurestore.tables import verdicts
from featurestore.tables.storage import Storage
from featurestore.tables.tables import Tables


def row(name: str, standing: str = "promoted") -> dict[str, Any]:
    return {
        "id": name,
        "standing": standing,
        "reason": "",
        "changed_at": datetime(2026, 1, 1, tzinfo=UTC),
        "run_id": "r",
    }


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tables that were looked at, in order."""
    found: list[str] = []
    judge = verdicts.unsound_rows

    def judged(table: str, dataset: Any) -> verdicts.Unsound:
        found.append(table)
        return judge(table, dataset)

    monkeypatch.setattr(verdicts, "unsound_rows", judged)
    return found


def test_a_version_is_looked_at_once(tmp_path: Path, looked: list[str]) -> None:
    store = FeatureStore.open(tmp_path / "store", create=True)
    store.merge_rows("standings", [row("a")])
    for _ in range(3):
        assert store.sql("SELECT id FROM standings")["id"].to_pylist() == ["a"]
    assert looked == ["standings"]
    store.merge_rows("standings", [row("b")])
    assert store.sql("SELECT id FROM standings ORDER BY id")["id"].to_pylist() == ["a", "b"]
    assert looked == ["standings"] * 2
    unsound = store.dataset("standings").to_table().slice(0, 1).to_pylist()
    damaged = [unsound[0] | {"id": "c", "standing": "adored"}]
    schema = store.dataset("standings").schema
    lance.write_dataset(
        pa.Table.from_pylist(damaged, schema),
        tmp_path / "store" / "standings.lance",
        mode="append",
    )
    for _ in range(2):
        with pytest.warns(DamagedRowsWarning, match="1 damaged rows of standings"):
            assert len(store.sql("SELECT id FROM standings")) == 2
    assert looked == ["standings"] * 3


def test_another_table_at_the_same_version_is_another(tmp_path: Path, looked: list[str]) -> None:
    store = FeatureStore.open(tmp_path / "store", create=True)
    store.merge_rows("standings", [row("a")])
    other = FeatureStore.open(tmp_path / "other", create=True)
    other.merge_rows("standings", [row("b")])
    assert len(store.sql("FROM standings")) == 1
    shutil.rmtree(tmp_path / "store" / "standings.lance")
    shutil.copytree(tmp_path / "other" / "standings.lance", tmp_path / "store" / "standings.lance")
    assert store.sql("SELECT id FROM standings")["id"].to_pylist() == ["b"]
    assert looked == ["standings"] * 2


def test_a_temporary_table_has_the_form_of_any_other(tmp_path: Path) -> None:
    store = FeatureStore.open(tmp_path / "store", create=True)
    store.merge_rows("standings", [row("a")])
    temporary = FeatureStore(Tables(Storage.at(tmp_path / "gone"), is_temporary=True))
    assert not temporary.tables()
    for _ in range(2):
        temporary.merge_rows("standings", [row("a"), row("b")])
    theirs, ours = store.dataset("standings"), temporary.dataset("standings")
    assert ours.schema.equals(theirs.schema, check_metadata=True)
    assert ours.lance_schema == theirs.lance_schema
    assert ours.data_storage_version == theirs.data_storage_version
    assert ours.to_table()["id"].to_pylist() == ["a", "b"]
