"""Tables as files and as print: every format holds the same rows, and appears whole or not."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.errors import InvalidInputError, StorageError
from featurestore.output import rows as output
from featurestore.output.formats import FILE_FORMATS, PRINTED_FORMATS
from featurestore.output.rows import print_table, write_table
from featurestore.store import FeatureStore

TABLE = pa.table(
    {
        "name": ["NaCl", "β-Sn, 'x'\n\"y\"", ""],
        "count": pa.array([1, None, 3], pa.int32()),
        "value": [0.1, -2.5e-30, 1e300],
        "flag": [True, None, False],
        "when": pa.array([datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)] * 3),
        "tags": [["a", "b"], [], None],
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(np.arange(6.0, dtype="f4")), 2),
        "sum": pa.array([Decimal(6), Decimal("2.5"), None], pa.decimal128(38, 1)),
        "parts": [{"start": 0}, {"start": 1}, None],
    }
)


def printed(table: pa.Table, form: str) -> str:
    stream = io.StringIO()
    print_table(table, form, stream)
    return stream.getvalue()


def test_parquet_and_arrow_round_trip(tmp_path):
    write_table(TABLE, tmp_path / "t.parquet", {"fingerprint": "abc"})
    write_table(TABLE, tmp_path / "t.arrow", {"fingerprint": "abc"})
    parquet = pq.read_table(tmp_path / "t.parquet")
    arrow = pa.ipc.open_file(tmp_path / "t.arrow").read_all()
    for found in (parquet, arrow):
        assert found.schema.metadata[b"fingerprint"] == b"abc"
        assert found.to_pylist() == TABLE.to_pylist()
        assert found["vector"].type == TABLE["vector"].type


@pytest.mark.parametrize("form", ["json", "ndjson"])
def test_json_holds_every_value(form, tmp_path):
    write_table(TABLE, tmp_path / f"t.{form}")
    text = (tmp_path / f"t.{form}").read_text("utf-8")
    assert text == printed(TABLE, form)
    rows = json.loads(text) if form == "json" else [json.loads(line) for line in text.splitlines()]
    assert rows[0] == {
        "name": "NaCl",
        "count": 1,
        "value": 0.1,
        "flag": True,
        "when": "2026-01-02T03:04:05+00:00",
        "tags": ["a", "b"],
        "vector": [0.0, 1.0],
        "sum": 6,
        "parts": {"start": 0},
    }
    assert rows[1]["name"] == TABLE["name"][1].as_py() and rows[1]["sum"] == 2.5
    assert rows[2]["tags"] is None


def test_csv_round_trips_through_a_reader(tmp_path):
    write_table(TABLE, tmp_path / "t.csv")
    text = (tmp_path / "t.csv").read_bytes().decode()
    assert text == printed(TABLE, "csv")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["name"] for row in rows] == TABLE["name"].to_pylist()
    assert [float(row["value"]) for row in rows] == TABLE["value"].to_pylist()
    assert [row["count"] for row in rows] == ["1", "", "3"]
    assert [json.loads(row["vector"]) for row in rows] == TABLE["vector"].to_pylist()


def test_numpy_needs_no_pickle(tmp_path):
    write_table(TABLE, tmp_path / "t.npz", {"fingerprint": "abc"})
    arrays = np.load(tmp_path / "t.npz", allow_pickle=False)
    assert arrays["vector"].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert arrays["vector"].dtype == np.float32
    assert arrays["name"].tolist() == TABLE["name"].to_pylist()
    np.testing.assert_array_equal(arrays["count"], [1, np.nan, 3])
    np.testing.assert_array_equal(arrays["flag"], [1, np.nan, 0])
    np.testing.assert_array_equal(arrays["sum"], [6, 2.5, np.nan])
    assert arrays["tags"].tolist() == ['["a", "b"]', "[]", ""]
    assert json.loads(str(arrays["metadata"])) == {"fingerprint": "abc"}


@pytest.mark.parametrize("suffix", FILE_FORMATS)
def test_an_empty_table_can_be_written(suffix, tmp_path):
    write_table(TABLE.slice(0, 0), tmp_path / f"t{suffix}")
    assert [path.name for path in tmp_path.iterdir()] == [f"t{suffix}"]


@pytest.mark.parametrize("form", PRINTED_FORMATS)
def test_an_empty_table_can_be_printed(form):
    assert printed(TABLE.slice(0, 0), form).strip() or form == "ndjson"


@pytest.mark.parametrize("form", PRINTED_FORMATS)
def test_columns_of_the_same_name_are_all_shown(form, tmp_path):
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2]), pa.array([3])], ["a", "a", "a_2"])
    text = printed(twice, form)
    for wanted in ("a", "a_2", "1", "2", "3"):
        assert wanted in text
    write_table(twice, tmp_path / "t.npz")
    assert len(np.load(tmp_path / "t.npz").files) == 4


def test_sums_and_special_values_of_sql_can_be_printed(tmp_path):
    store = FeatureStore.open(tmp_path / "store", create=True)
    rows = store.sql(
        "SELECT sum(x) AS n, 1.5 AS d, date '2026-01-02' AS day, interval 1 month AS step, "
        "'nan'::DOUBLE AS nan, 'x'::BLOB AS data, MAP {'k': 1} AS m, time '01:02:03' AS t "
        "FROM range(5) r(x)"
    )
    [row] = json.loads(printed(rows, "json"))
    assert (row["n"], row["d"], row["day"], row["nan"]) == (10, 1.5, "2026-01-02", None)
    assert (row["data"], row["t"]) == ("<1 bytes>", "01:02:03")
    for form in PRINTED_FORMATS:
        assert "2026-01-02" in printed(rows, form)
    for suffix in (".csv", ".json", ".ndjson", ".npz"):
        write_table(rows, tmp_path / f"t{suffix}")


def test_the_printed_table_is_aligned_and_short():
    table = pa.table({"n": [1, 100], "text": ["a\nb", "x" * 100], "mean": [0.123456789, 2.0]})
    lines = printed(table, "table").splitlines()
    assert lines[0].split() == ["n", "text", "mean"]
    assert lines[1].split() == ["-" * 3, "-" * 60, "-" * 8]
    assert lines[2].startswith("  1  a⏎b ") and lines[2].endswith("0.123457")
    assert lines[3].startswith("100  " + "x" * 59 + "… ")


@pytest.mark.parametrize("name", ["t.xlsx", "t", "parquet", ".csv"])
def test_a_suffix_without_a_format(name, tmp_path):
    with pytest.raises(InvalidInputError, match=r"ends in \.parquet"):
        write_table(TABLE, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", FILE_FORMATS)
def test_a_failed_write_leaves_the_old_file_alone(suffix, tmp_path, monkeypatch):
    path = tmp_path / f"t{suffix}"
    path.write_text("old")

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(output.Path, "replace", full)
    with pytest.raises(StorageError, match=rf"cannot write .*t\{suffix}.*No space left"):
        write_table(TABLE, path)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("text")
    (tmp_path / "folder.csv").mkdir()
    for path in (tmp_path / "file" / "t.csv", tmp_path / "folder.csv"):
        with pytest.raises(StorageError, match="cannot write"):
            write_table(TABLE, path)
    assert {entry.name for entry in tmp_path.iterdir()} == {"file", "folder.csv"}


def test_folders_are_made_and_files_are_as_readable_as_any(tmp_path):
    path = tmp_path / "a" / "b" / "t.PARQUET"
    write_table(TABLE, path)
    (tmp_path / "other").write_text("")
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode
    assert [entry.name for entry in path.parent.iterdir()] == ["t.PARQUET"]
