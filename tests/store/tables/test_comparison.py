"""A merge reads what could be its own rows, finds all of these, and needs no second library."""

from __future__ import annotations

import sys
from typing import Any

import pyarrow as pa
import pytest

from featurestore.quoting import SQL
from featurestore.store import FeatureStore
from featurestore.tables import comparison
from featurestore.testing.rows import made_up

AWKWARD = [
    "it's",
    '"quoted"',
    "back\\slash",
    "100 %",
    "new\nline",
    "tab\t",
    "Å–ångström 中",
    "''",
    "a'); --",
    "NULL",
    "  blanks  ",
    "\N{PILE OF POO}",
    "x" * 5000,
]


def named(ids: list[str], structure: str = "s") -> pa.Table:
    rows = made_up("materials", range(len(ids)))
    for column, values in (("material_id", ids), ("structure_id", [structure] * len(ids))):
        place = rows.column_names.index(column)
        rows = rows.set_column(place, column, pa.array(values))
    return rows


@pytest.mark.parametrize("values_a_filter", [50_000, 3])
def test_keys_of_every_kind_are_found(tmp_path: Any, monkeypatch: Any, values_a_filter: int):
    monkeypatch.setattr(comparison, "_VALUES_A_FILTER", values_a_filter)
    store = FeatureStore.open(tmp_path / "store", create=True)
    others = [f"other-{i}" for i in range(2 * len(AWKWARD))]
    assert store.merge("materials", named([*AWKWARD, *others])).written == len(AWKWARD + others)
    again = store.merge("materials", named([*AWKWARD, "new"]))
    assert (again.written, again.present, again.conflicts) == (1, len(AWKWARD), [])
    changed = store.merge("materials", named(AWKWARD, "another"))
    assert changed.written == changed.present == 0
    assert [row["material_id"] for row in changed.conflicts] == AWKWARD


def test_only_rows_that_could_match_are_read(tmp_path: Any):
    store = FeatureStore.open(tmp_path / "store", create=True)
    store.merge("splits", made_up("splits", range(100)))
    dataset = store.dataset("splits")
    key = ["split", "property", "material_id"]
    found = comparison.possible_matches(made_up("splits", [7, 500]), dataset, key, key)
    assert found.to_pylist() == made_up("splits", [7]).select(key).to_pylist()
    # As many values as rows: a filter would keep nothing out.
    all_of_it = comparison.possible_matches(made_up("splits", range(100, 200)), dataset, key, key)
    assert all_of_it.num_rows == 100


def test_what_is_there_is_written_to_without_the_import_of_lancedb(tmp_path: Any, monkeypatch: Any):
    place = tmp_path / "store"
    store = FeatureStore.open(place, create=True)
    store.merge("splits", made_up("splits", range(3)))
    with store.run("a command", {}):
        pass
    monkeypatch.setitem(sys.modules, "lancedb", None)
    store = FeatureStore.open(place)
    with store.run("another", {}):
        assert store.merge("splits", made_up("splits", range(4))).written == 1
        store.update("splits", SQL("split = 'split-0'"), {"fold": SQL("'test'")})
        store.remove("splits", SQL("split = 'split-1'"))
    assert store.sql("SELECT split, fold FROM splits ORDER BY 1").to_pylist() == [
        {"split": "split-0", "fold": "test"},
        *({"split": f"split-{i}", "fold": f"fold-{i}"} for i in (2, 3)),
    ]
    assert store.sql("SELECT status FROM runs")["status"].to_pylist() == ["finished"] * 2
