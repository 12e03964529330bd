"""Conditions see metadata and the properties they name, and nothing can be smuggled in."""

from __future__ import annotations

import pytest

from featurestore.errors import FeatureStoreError, InvalidInputError, UnknownNameError
from featurestore.query.conditions import materials_where
from featurestore.session import QueryError


def ids(store, where, **choices):
    with store.session() as session:
        found = materials_where(session, where, **choices)["material_id"].to_pylist()
    return sorted(int(one[-3:]) for one in found)


def test_columns_and_properties_by_name(store):
    assert ids(store, None) == list(range(60))
    assert ids(store, "crystal_system = 'cubic'") == list(range(0, 60, 3))
    cubic_and_hard = "crystal_system = 'cubic' AND \"bulk modulus\" >= 30"
    assert ids(store, cubic_and_hard) == [30, 36, 42, 48, 54]
    assert ids(store, '"BULK modulus" IS NULL AND space_group_number = 225') == list(
        range(1, 60, 2)
    )
    everyone = 'mbj_bandgap > -1e9 AND "bulk modulus" < 4 -- a comment'
    assert ids(store, everyone) == [0, 2]


def test_a_column_goes_before_a_property_of_its_name(store):
    assert ids(store, "n_atoms = 2") == list(range(60))


def test_a_name_within_a_string_or_another_name_is_harmless(store):
    assert ids(store, "formula = 'hardness' OR formula = 'hardness''s'") == []
    assert ids(store, "formula || 'xhardnessy' = 'NaClxhardnessy'") == list(range(60))


def test_several_sources_are_never_mixed(store):
    with pytest.raises(InvalidInputError, match="several sources"):
        ids(store, "hardness > 3")
    assert ids(store, "hardness < 3", property_source="other") == [0, 2]
    # The source is chosen for the property that has it; the other has only one.
    both = 'hardness < 3 AND "bulk modulus" < 2'
    assert ids(store, both, property_source="other") == [0]


@pytest.mark.parametrize(
    "where",
    [
        "true) UNION SELECT run_id FROM runs WHERE (true",
        "true; DROP TABLE materials",
        "true, false",
        "/* open",
        "1 = 1) --",
        "",
        "SELECT 1",
        "DELETE FROM materials",
    ],
)
def test_what_is_not_one_expression_is_refused(store, where):
    with pytest.raises(InvalidInputError, match="not one expression"):
        ids(store, where)
    assert len(ids(store, None)) == 60


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("n_atom > 1", "did you mean 'n_atoms'"),
        ("mbj_bndgap > 1", "did you mean 'mbj_bandgap'"),
        ("formula > ", "not one expression"),
        ("(SELECT count(*) FROM read_csv('/etc/passwd')) > 0", "disabled"),
        ("formula = 3 + 'a'", "explicit type casts"),
    ],
)
def test_errors_name_the_culprit(store, where, words):
    with pytest.raises(FeatureStoreError, match=words) as found:
        ids(store, where)
    assert isinstance(found.value, InvalidInputError | UnknownNameError | QueryError)


def test_quotes_in_values_are_values(store):
    assert ids(store, "formula = 'it''s' OR material_id = 'toy-007'") == [7]
