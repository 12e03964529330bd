"""Content ids: equal for equal content, different for any other."""

from __future__ import annotations

import hashlib
import json

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.crystal import Crystal
from featurestore.identity import canonical_json, fingerprint, text_id, versioned_id

LATTICE = np.array([[4.0, 0.0, 0.0], [0.5, 5.0, 0.0], [0.0, 0.25, 6.0]])
COORDS = np.array([[0.0, 0.0, 0.0], [0.5, 0.25, 0.75]])

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def crystal(coords=COORDS, lattice=LATTICE, species=("Na", "Cl")) -> Crystal:
    return Crystal(np.asarray(lattice), tuple(species), np.asarray(coords))


def test_text_id_is_that_of_duckdb():
    for text in ("", "NaCl is halite.", "2.05 Å – ß 𝔸\n'quoted'"):
        assert text_id(text) == hashlib.sha256(text.encode()).hexdigest()
        assert duckdb.execute("SELECT sha256(?)", [text]).fetchone() == (text_id(text),)


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_canonical_json_forgets_the_order_only(value):
    backwards = dict(reversed(list(value.items())))
    assert canonical_json(value) == canonical_json(backwards)
    assert json.loads(canonical_json(value)) == value
    assert fingerprint(value) != fingerprint({**value, "another key": 1})


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_canonical_json_refuses_what_equals_nothing(number):
    with pytest.raises(ValueError):
        canonical_json({"value": number})


def test_versioned_id_is_an_sql_identifier():
    assert versioned_id("ALIGNN-FF wt0.1", {"a": 1}).startswith("alignn_ff_wt0_1_")
    assert versioned_id("---", {}).startswith("unnamed_")
    assert versioned_id("a", {"x": 1, "y": 2}) == versioned_id("a", {"y": 2, "x": 1})
    assert versioned_id("a", {"x": 1}) != versioned_id("a", {"x": 2})


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(-3, 3), min_size=6, max_size=6))
def test_whole_cell_shifts_keep_the_structure(shifts):
    moved = COORDS + np.array(shifts, dtype=float).reshape(2, 3)
    assert crystal(moved).structure_id == crystal().structure_id


@settings(deadline=None, max_examples=50)
@given(st.floats(-1e-10, 1e-10))
def test_noise_below_the_rounding_keeps_the_structure(noise):
    # 0, 0.25, 0.5 and 0.75 are far from where rounding to 1e-8 changes its mind.
    assert crystal(COORDS + noise).structure_id == crystal().structure_id
    assert crystal(lattice=LATTICE + noise).structure_id == crystal().structure_id


def test_the_sign_of_zero_is_forgotten():
    assert crystal(-0.0 * COORDS).structure_id == crystal(0.0 * COORDS).structure_id
    assert crystal(lattice=np.where(LATTICE == 0, -0.0, LATTICE)).structure_id == (
        crystal().structure_id
    )
    assert crystal(COORDS - 1e-17).structure_id == crystal().structure_id


def test_what_changes_the_structure():
    others = [
        crystal(COORDS[::-1], species=("Cl", "Na")),
        crystal(species=("K", "Cl")),
        crystal(COORDS + np.array([[0, 0, 0], [0, 0, 1e-6]])),
        crystal(lattice=LATTICE * 1.000001),
        crystal(lattice=LATTICE[[1, 0, 2]]),
        Crystal(LATTICE, ("NaCl",), COORDS[:1]),
    ]
    ids = {other.structure_id for other in others} | {crystal().structure_id}
    assert len(ids) == len(others) + 1


def test_volume_and_size():
    assert crystal().volume == pytest.approx(120.0)
    assert crystal(lattice=LATTICE[[1, 0, 2]]).volume == pytest.approx(120.0)
    assert crystal().n_atoms == 2
