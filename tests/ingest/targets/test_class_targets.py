"""Targets that are classes: from cells, and from tables into the store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import synthetic_store as toy

import ingest
from featurestore.classes import category_unit
from featurestore.errors import InvalidInputError
from featurestore.failure import Failure
from featurestore.store import FeatureStore
from ingest.library.splits import add_splits
from ingest.targets.cells import parse_target, parse_targets

SYSTEM = category_unit(["cubic", "hexagonal", "225"])


@pytest.mark.parametrize(
    ("cell", "unit", "expected"),
    [
        (True, "boolean", 1.0),
        (np.False_, "boolean", 0.0),
        ("TRUE", "boolean", 1.0),
        (" no ", "boolean", 0.0),
        (1, "boolean", 1.0),
        (0.0, "boolean", 0.0),
        ("hexagonal ", SYSTEM, 1.0),
        (225, SYSTEM, 2.0),
        (225.0, SYSTEM, 2.0),
        ("na", SYSTEM, None),
        ("", SYSTEM, None),
        (None, "boolean", None),
        (float("nan"), "boolean", None),
        ("na", category_unit(["na", "k"]), 0.0),
    ],
)
def test_cells_that_are_classes(cell: object, unit: str, expected: float | None) -> None:
    assert parse_target(cell, unit=unit) == expected


@pytest.mark.parametrize(
    ("cell", "unit", "message"),
    [
        ("Cubic", SYSTEM, "differs by case from the class 'cubic': write it so"),
        ("trigonal", SYSTEM, "is none of the classes 'cubic', 'hexagonal', '225'"),
        (True, SYSTEM, "is none of the classes"),
        ("maybe", "boolean", "is no truth value: write true or false"),
        (0.5, "boolean", "is no truth value"),
        (2, "boolean", "is no truth value"),
    ],
)
def test_cells_that_are_none(cell: object, unit: str, message: str) -> None:
    found = parse_target(cell, unit=unit)
    assert isinstance(found, Failure) and message in found.message
    numbers, refused = parse_targets(["", cell], unit=unit)
    assert np.isnan(numbers).all() and list(refused) == [1]


def test_a_table_of_classes(tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 5)
    table = tmp_path / "lab.csv"
    table.write_text(
        "id,metal?,phase\ntoy-000,yes,a\ntoy-001,no,B\ntoy-002,maybe,b\ntoy-003,,b\ntoy-004,no,\n"
    )
    columns = {"metal?": "metal:boolean", "phase": "phase:category[a, b]"}
    said = ingest.add_targets(store, table, columns=columns)
    assert said.written == 6
    assert {row["item"] for row in said.failures.to_pylist()} == {"toy-002 metal", "toy-001 phase"}
    found = store.sql("SELECT material_id, property, class FROM class_values ORDER BY ALL")
    assert [tuple(row.values()) for row in found.to_pylist()] == [
        ("toy-000", "metal", "true"),
        ("toy-000", "phase", "a"),
        ("toy-001", "metal", "false"),
        ("toy-002", "phase", "b"),
        ("toy-003", "phase", "b"),
        ("toy-004", "metal", "false"),
    ]
    # known from now on, and not with other classes
    table.write_text("id,phase\ntoy-001,b\n")
    assert ingest.add_targets(store, table).written == 1
    with pytest.raises(InvalidInputError, match="is in category"):
        ingest.add_targets(store, table, columns={"phase": "phase:category[a, c]"})
    with pytest.raises(InvalidInputError, match="names no classes"):
        ingest.add_targets(store, table, columns={"phase": "other:category"})


def test_folds_of_another_property(tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 10)
    table = tmp_path / "lab.csv"
    table.write_text("id,metal\n" + "".join(f"toy-{i:03},{i % 2}\n" for i in range(8)))
    ingest.add_targets(store, table, columns={"metal": "metal:boolean"})
    add_splits(store, like=toy.PROPERTY, name=toy.SPLIT, property="metal")
    rows = store.sql("SELECT material_id, fold FROM splits WHERE property = 'metal' ORDER BY ALL")
    assert {row["material_id"]: row["fold"] for row in rows.to_pylist()} == {
        f"toy-{i:03}": toy.fold(i) for i in range(8)
    }
    with pytest.raises(InvalidInputError, match="like needs the name of a split"):
        add_splits(store, like=toy.PROPERTY, property="metal")


def test_a_store_is_what_it_was_without_classes(tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 3)
    assert store.sql("FROM class_values").num_rows == 0
    assert FeatureStore.open(store.uri).sql("FROM class_predictions").num_rows == 0
