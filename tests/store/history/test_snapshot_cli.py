"""``featurestore snapshot`` and ``--at``, as users type them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import synthetic_store as toy
from click.testing import CliRunner, Result

from featurestore.cli import root
from featurestore.store import FeatureStore


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FeatureStore:
    monkeypatch.setenv("FEATURESTORE_URI", str(tmp_path / "store"))
    return toy.make_store(tmp_path / "store", 10)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(root, list(arguments), catch_exceptions=False)


def printed(*arguments: str) -> list[dict[str, Any]]:
    result = invoke(*arguments, "--format", "json")
    assert result.exit_code == 0
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    return rows


def test_from_creation_to_deletion(store: FeatureStore, tmp_path: Path) -> None:
    assert invoke("snapshot", "create", "a", "-m", "for a paper").output.startswith("snapshot a: 9")
    [listed] = printed("snapshot", "list")
    assert (listed["name"], listed["message"], listed["materials"]) == ("a", "for a paper", 10)
    shown = {row["table"]: row for row in printed("snapshot", "show", "a")}
    assert shown["materials"] == {"table": "materials", "version": 2, "rows": 10}
    assert printed("snapshot", "diff", "a") == [
        # the creation has ended since
        {"table": "runs", "added": 0, "changed": 1, "removed": 0, "ids": ""}
    ]
    toy.make_store(tmp_path / "store", 12)
    invoke("snapshot", "create", "b")
    found = {row["table"]: row["added"] for row in printed("snapshot", "diff", "a", "b")}
    assert found["materials"] == found["properties"] == 2 and "encoders" not in found

    plan = invoke("snapshot", "restore", "a")
    assert "materials" in plan.stdout
    assert "Nothing was done; to do it: featurestore snapshot restore a --yes" in plan.stderr
    assert printed("sql", "SELECT count(*) AS n FROM materials") == [{"n": 12}]
    assert invoke("snapshot", "restore", "a", "--yes").stderr == "Restored a.\n"
    assert printed("sql", "SELECT count(*) AS n FROM materials") == [{"n": 10}]
    assert "nothing to restore" in invoke("snapshot", "restore", "a").stderr
    assert invoke("snapshot", "delete", "b").output == "snapshot b is deleted\n"
    assert [row["name"] for row in printed("snapshot", "list")] == ["a"]


@pytest.mark.slow
def test_reading_commands_at_a_snapshot(store: FeatureStore, tmp_path: Path) -> None:
    view = ["view", toy.PROPERTY, "--structure-encoder", "toy-graph", "--split", toy.SPLIT]
    before = invoke(*view).output
    invoke("snapshot", "create", "a")
    toy.make_store(tmp_path / "store", 20)
    assert invoke(*view).output != before
    assert invoke(*view, "--at", "a").output == before
    assert "10 materials" in invoke("info", "--at", "a").output
    assert "20 materials" in invoke("info").output
    assert printed("sql", "SELECT count(*) AS n FROM materials", "--at", "a") == [{"n": 10}]
    reading = (
        ["train", "list"],
        ["train", "report"],
        ["info"],
        ["view"],
        ["sql"],
        ["lineage"],
        ["verify"],
        ["encoders", "list"],
        ["encoders", "compare"],
    )
    for command in reading:
        assert "--at NAME|TIME" in invoke(*command, "--help").output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sql", "SELECT 1", "--at", "yesterday"], "unknown snapshot 'yesterday'"),
        (["sql", "SELECT 1", "--at", "2999-01-01"], "in the future"),
        (["snapshot", "show", "none"], "unknown snapshot 'none'"),
        (["snapshot", "create", "a b"], "snapshot name 'a b'"),
    ],
)
def test_refusals(store: FeatureStore, arguments: list[str], message: str) -> None:
    from featurestore.errors import FeatureStoreError

    with pytest.raises(FeatureStoreError, match=message):
        invoke(*arguments)
