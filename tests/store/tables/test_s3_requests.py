"""What is asked of a bucket: bounded, nothing twice, and no write by those who may only read."""

from __future__ import annotations

import json
import shlex
import urllib.request
from pathlib import Path

import pyarrow as pa
import pytest
import synthetic_store as toy
from click.testing import CliRunner
from s3_keys import READING_KEY
from s3_server import COUNTS

from featurestore.cli import root
from featurestore.quoting import SQL
from featurestore.store import FeatureStore
from featurestore.testing.rows import made_up
from featurestore.testing.store import Place


def asked(endpoint: str) -> dict[str, int]:
    """Reads, writes and bytes since this was last called."""
    with urllib.request.urlopen(endpoint + COUNTS, timeout=30) as answer:
        return {"reads": 0, "writes": 0, "bytes": 0} | json.load(answer)


@pytest.fixture
def shared(s3_place: Place) -> Place:
    """A store of twenty materials with texts, vectors and folds."""
    toy.make_store(s3_place.uri, 20)
    return s3_place


# The most requests of each, some half more than it takes.
READING = {
    "info": 45,
    "sql 'FROM materials'": 35,
    "coverage": 60,
    "search text bond --text robocrystallographer --by words": 45,
    f"view {toy.PROPERTY} --split {toy.SPLIT} --structure-encoder toy-graph": 75,
    "snapshot list": 5,
    "verify": 120,
}


def test_reading_commands_need_no_right_to_write_and_ask_little(
    shared: Place, s3_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", READING_KEY)
    asked(s3_endpoint)
    for command, bound in READING.items():
        ran = CliRunner().invoke(root, [*shlex.split(command), "--store", shared.uri])
        # The vectors of the made-up encoders are no real ones, which it says.
        assert ran.exit_code == (command == "verify"), (command, ran.output)
        counts = asked(s3_endpoint)
        print(command, counts)
        assert counts["writes"] == 0, command
        assert 0 < counts["reads"] <= bound, (command, counts)
    copy = ["backup", str(tmp_path / "copy"), "--store", shared.uri]
    assert CliRunner().invoke(root, copy).exit_code == 0
    assert asked(s3_endpoint)["writes"] == 0
    words = ["ingest", "splits", "--random", "80/10/10", "--property", toy.PROPERTY]
    refused = CliRunner().invoke(root, [*words, "--store", shared.uri])
    said = str(refused.exception)
    assert "cannot write table" in said and "AccessDenied" in said and len(said) < 1_000


def test_what_never_changes_is_read_once(shared: Place, s3_endpoint: str) -> None:
    store = FeatureStore.open(shared.uri)
    asked(s3_endpoint)
    store.sql("FROM materials")
    first = asked(s3_endpoint)
    store.sql("FROM materials")
    again = asked(s3_endpoint)
    print(first, again)
    assert again["reads"] < 0.7 * first["reads"] and again["bytes"] < 0.2 * first["bytes"]
    store.merge_rows("materials", [toy._material(21)])
    assert store.sql("SELECT count(*) AS n FROM materials")["n"].to_pylist() == [21]


def test_a_write_looks_at_the_fragments_of_its_keys_and_at_new_ones(
    s3_place: Place, s3_endpoint: str
) -> None:
    for first in range(0, 1_000, 100):
        s3_place.open().merge("materials", made_up("materials", range(first, first + 100)))
    store = s3_place.open()
    costs = []
    for first in (1_000, 1_100, 1_200):
        asked(s3_endpoint)
        assert store.merge("materials", made_up("materials", range(first, first + 100))).written
        costs.append(asked(s3_endpoint))
    print(costs)
    assert costs[2]["reads"] < 0.8 * costs[0]["reads"] and costs[2]["writes"] <= 4
    assert costs[2]["bytes"] < 0.8 * costs[0]["bytes"]
    # What is there is found in each fragment, one by another writer among them, and where rows
    # were deleted.
    s3_place.open().merge("materials", made_up("materials", [1_300]))
    store.remove("materials", SQL("material_id = 'material_id-5'"))
    asked(s3_endpoint)
    found = store.merge("materials", made_up("materials", [3, 5, 555, 1_150, 1_300, 1_400]))
    assert (found.written, found.present, found.conflicts) == (2, 4, [])
    changed = made_up("materials", [555, 1_300])
    other = changed.set_column(1, "structure_id", pa.array(["other", "other"]))
    keys = [row["material_id"] for row in store.merge("materials", other).conflicts]
    assert keys == ["material_id-555", "material_id-1300"]
