"""Formulas as chemists write them, elements and chemical systems: columns, macros, hints."""

from __future__ import annotations

import math
import random
import warnings
from pathlib import Path

import duckdb
import pytest

from featurestore.errors import NameOrderWarning
from featurestore.query.conditions import materials_where
from featurestore.query.formulas import add_formulas, formula_of_stored
from featurestore.query.macros import macro_source
from featurestore.query.names import compared_names
from featurestore.session import QueryError
from featurestore.session_tables import MATERIAL_COLUMNS
from featurestore.store import FeatureStore
from featurestore.testing.rows import made_up

STORED = {"a": "INa", "b": "ITmO", "c": "Te2V", "d": "ClNa", "e": "O", "f": "O4Te2Zn2"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    store = FeatureStore.open(tmp_path_factory.mktemp("names") / "store", create=True)
    store.merge_rows(
        "materials",
        [
            row | {"material_id": name, "formula": formula}
            for row, (name, formula) in zip(
                made_up("materials", range(len(STORED))).to_pylist(), STORED.items(), strict=True
            )
        ],
    )
    return store


def ids(store: FeatureStore, where: str) -> list[str]:
    with store.session() as session:
        return sorted(materials_where(session, where)["material_id"].to_pylist())


def test_the_columns_of_materials(store):
    rows = store.sql("FROM materials ORDER BY material_id")
    assert tuple(rows.column_names) == MATERIAL_COLUMNS
    found = [
        (row["formula"], row["formula_alphabetical"], row["elements"], row["chemsys"])
        for row in rows.to_pylist()
    ]
    assert found == [
        ("NaI", "INa", ["I", "Na"], "I-Na"),
        ("TmIO", "ITmO", ["I", "O", "Tm"], "I-O-Tm"),
        ("VTe2", "Te2V", ["Te", "V"], "Te-V"),
        ("NaCl", "ClNa", ["Cl", "Na"], "Cl-Na"),
        ("O2", "O", ["O"], "O"),
        ("Zn2(TeO2)2", "O4Te2Zn2", ["O", "Te", "Zn"], "O-Te-Zn"),
    ]


def test_formulas_are_those_of_pymatgen():
    from pymatgen.core import Composition, Element

    connection = duckdb.connect()
    add_formulas(connection)
    connection.execute(macro_source("names"))
    elements = [one.symbol for one in Element if one.symbol not in ("D", "T")]
    common = ["Li", "Na", "K", "O", "P", "H", "F", "N", "C", "S", "Ca", "Cl", "Si"]
    draw = random.Random(0)
    compositions = [{symbol: 1} for symbol in elements] + [
        {"Na": 1, "O": 1},
        {"H": 1, "O": 1},
        {"Ca": 3, "P": 2, "O": 8},
    ]
    for number in range(3000):
        drawn = draw.sample(common if number % 2 else elements, draw.randint(1, 5))
        compositions.append({symbol: draw.randint(1, 12) for symbol in drawn})
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen's, of elements without an electronegativity
        for amounts in compositions:
            whole = math.gcd(*amounts.values())
            stored = "".join(
                f"{one}{'' if amounts[one] == whole else amounts[one] // whole}"
                for one in sorted(amounts)
            )
            typed = "".join(f"{one}{amount}" for one, amount in amounts.items())
            rows.append((stored, typed, Composition(amounts).reduced_formula))
    connection.execute("CREATE TABLE t (stored VARCHAR, typed VARCHAR, wanted VARCHAR)")
    connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    wrong = connection.execute(
        "FROM t WHERE formula_of_stored(stored) <> wanted OR formula(typed) <> wanted "
        "OR formula(wanted) <> wanted OR formula(stored) <> wanted"
    ).fetchall()
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("INa", "NaI"),
        ("Na 2 Cl 2", "NaCl"),
        ("Ca(OH)2", "Ca(HO)2"),
        ("(PO4)2Ca3", "Ca3(PO4)2"),
        ("LaLa", "La"),
    ],
)
def test_a_formula_in_any_order(store, text, written):
    assert store.sql("SELECT formula(?) AS f", [text])["f"].to_pylist() == [written]


def test_what_is_no_formula_is_an_error(store):
    for text in ("nacl", "Na0.5Cl", "", "Na-Cl", "Ca((OH)2"):
        with pytest.raises(QueryError, match="is no formula of whole numbers"):
            store.sql("SELECT formula(?)", [text])
    with pytest.raises(QueryError, match="is no list of elements"):
        store.sql("SELECT chemsys('salt')")
    found = store.sql("SELECT chemsys('Na-Cl') AS a, chemsys('LiFePO4') AS b, chemsys('O') AS c")
    assert found.to_pylist() == [{"a": "Cl-Na", "b": "Fe-Li-O-P", "c": "O"}]


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("formula = 'NaI'", ["a"]),
        ("formula = formula('INa')", ["a"]),
        ("formula_alphabetical = 'INa'", ["a"]),
        ("chemsys = 'Cl-Na'", ["d"]),
        ("chemsys = chemsys('Na-Cl')", ["d"]),
        ("list_contains(elements, 'Te')", ["c", "f"]),
        ("len(elements) = 2 AND NOT list_contains(elements, 'Te')", ["a", "d"]),
        ("formula = 'O2' OR formula LIKE 'Tm%'", ["b", "e"]),
    ],
)
def test_conditions(store, where, found):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ids(store, where) == found


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("chemsys = 'Na-Cl'", r"no chemsys is written 'Na-Cl'; it is 'Cl-Na' here \(chemsys\('"),
        ("chemsys IN ('I-Na', 'Na-Cl')", "it is 'Cl-Na' here"),
        ("'Na-Cl' = chemsys", "it is 'Cl-Na' here"),
        ("formula = 'INa'", "no formula is written 'INa'; it is 'NaI' here"),
        ("formula <> 'Zn2Te2O4'", r"it is 'ZnTeO2' here"),
    ],
)
def test_another_order_finds_nothing_and_says_so(store, where, message):
    with pytest.warns(NameOrderWarning, match=message):
        ids(store, where)


def test_parameters_are_looked_at_too(store):
    with pytest.warns(NameOrderWarning, match="it is 'NaI' here"):
        store.sql("FROM materials WHERE n_atoms = ? OR formula = ?", [1, "INa"])
    with pytest.warns(NameOrderWarning, match="it is 'NaI' here"):
        store.sql("FROM materials WHERE formula = $f", {"f": "INa"})


@pytest.mark.parametrize(
    "sql",
    [
        "formula = formula('INa')",
        "space_group = 'P1' AND formula = 'NaI'",
        "formula LIKE 'IN%'",
        "formula = 'it''s'",
        "formula_alphabetical = 'INa'",
        "'a ? b' = x AND formula = $missing",
    ],
)
def test_other_texts_are_left_alone(sql):
    assert all(text == "NaI" for _, text in compared_names(sql, {}))


def test_an_amount_of_thousands_of_digits_stops_no_query():
    connection = duckdb.connect()
    add_formulas(connection)
    connection.execute(macro_source("names"))
    endless = "Fe" + "9" * 5000
    stored = connection.execute("SELECT formula_of_stored(?)", [endless]).fetchone()
    assert stored == (endless,)
    with pytest.raises(duckdb.Error, match="is no formula of whole numbers"):
        connection.execute("SELECT formula(?)", [endless]).fetchall()


def test_a_store_without_materials_has_the_columns(tmp_path: Path):
    rows = FeatureStore.open(tmp_path / "store", create=True).sql("FROM materials")
    assert (rows.num_rows, tuple(rows.column_names)) == (0, MATERIAL_COLUMNS)


def test_a_query_without_the_formula_does_not_compute_it(store):
    """And its condition reaches the scan."""
    for column in ("material_id", "n_atoms", "chemsys"):
        plan = store.sql(f"EXPLAIN SELECT {column} FROM materials WHERE material_id = 'a'")
        text = str(plan.to_pylist())
        assert "electronegativity" not in text and "0.93" not in text and "Join" not in text
        assert "Filters:" in text
        before = formula_of_stored.cache_info()
        store.sql(f"SELECT {column} FROM materials")
        assert formula_of_stored.cache_info() == before
    store.sql("SELECT formula FROM materials")
    assert formula_of_stored.cache_info() != before
