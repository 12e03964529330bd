"""Names of space groups, however they are spelt, and what their operations are."""

from __future__ import annotations

import time

import numpy as np
import pytest
from structure_texts import counts, rock_salt, stored

from ingest.structures.space_groups import (
    is_group,
    number_of,
    operations_of_hall,
    operations_of_triplets,
    settings_of_number,
    settings_of_symbol,
)


@pytest.mark.parametrize(
    ("symbol", "number", "choices"),
    [
        ("P m 3 m", 221, {""}),
        ("Pm3m", 221, {""}),
        ("P_m_-3_m", 221, {""}),
        ("PM-3M", 221, {""}),
        ("P a 3", 205, {""}),
        ("Pm-3m (No. 221)", 221, {""}),
        ("P m −3 m", 221, {""}),
        ("221", 221, {""}),
        ("fd-3m", 227, {"1", "2"}),
        ("I a 3 d", 230, {""}),
        ("F d 3 m", 227, {"1", "2"}),
        ("F d -3 m :2", 227, {"2"}),
        ("F d -3 m Z", 227, {"2"}),
        ("Fd-3mS", 227, {"1"}),
        ("F d -3 m (origin choice 2)", 227, {"2"}),
        ("Fd-3m O1", 227, {"1"}),
        ("F 41/d -3 2/m", 227, {"1", "2"}),
        ("Oh^7", 227, {"1", "2"}),
        ("R -3 m", 166, {"H", "R"}),
        ("R -3 m :R", 166, {"R"}),
        ("R-3mH", 166, {"H"}),
        ("R -3 m H", 166, {"H"}),
        ("P 63/m m c", 194, {""}),
        ("P6_3mc", 186, {""}),
        ("P 21/n 21/m 21/a", 62, {""}),
        ("P b n m", 62, {"cab"}),
        ("C m c a", 64, {""}),
        ("C m c e", 64, {""}),
        ("P 1 21/n 1", 14, {"b2"}),
        ("C c c a", 68, {"1", "2"}),
        ("I -1", 2, {""}),
        ("F 4/m m m", 139, {""}),
    ],
)
def test_symbols(symbol, number, choices):
    found = settings_of_symbol(symbol)
    assert {one.number for one in found} == {number}
    # the last two of gemmi's own table have codes of axes
    assert {one.choice for one in found} == choices or symbol in ("P b n m", "F 4/m m m", "I -1")


@pytest.mark.parametrize("symbol", ["?", "nonsense", "", "P 7", "C2/m(a0g)0s", "X m m m"])
def test_what_is_no_symbol(symbol):
    assert settings_of_symbol(symbol) == []


def test_every_setting_of_spglib_is_a_group_and_found_by_its_number():
    import spglib

    for hall_number in range(1, 531, 7):
        kind = spglib.get_spacegroup_type(hall_number)
        found = settings_of_symbol(kind.international.split("=")[-1], kind.choice)
        assert kind.number in {one.number for one in found}, kind
    for number in (1, 14, 62, 166, 227, 230):
        for setting in settings_of_number(number):
            assert is_group(setting.operations)
            assert number_of(setting.operations) == number


def test_operations_from_hall_and_triplets():
    hall = operations_of_hall("F 4d 2 3 -1d")
    assert hall is not None and len(hall) == 192 and number_of(hall) == 227
    assert operations_of_hall("no hall symbol") is None
    listed = operations_of_triplets(["x,y,z", "-x, y+1/2, -z+1/2"])
    np.testing.assert_allclose(listed.translations[1], [0, 0.5, 0.5])
    assert is_group(operations_of_triplets(["x,y,z", "-x,-y,-z"]))
    assert not is_group(operations_of_triplets(["x,y,z", "-y,x,z"]))
    with pytest.raises(ValueError, match="'x,y'"):
        operations_of_triplets(["x,y"])


def test_an_operation_without_end_is_refused_at_once():
    start = time.process_time()
    with pytest.raises(ValueError, match="is not understood") as said:
        operations_of_triplets([f"x,y,z/{'9' * 20_000}"])
    assert time.process_time() - start < 1 and len(str(said.value)) < 200


def test_axes_must_fit_the_cell():
    (cubic,) = settings_of_symbol("F m -3 m")
    assert cubic.operations.fit(np.eye(3) * 4)
    assert not cubic.operations.fit(np.diag([4.0, 4, 5]))
    by_choice = {one.choice: one.operations for one in settings_of_symbol("R -3 m")}
    hexagonal = np.array([[4, 0, 0], [-2, 2 * np.sqrt(3), 0], [0, 0, 10.0]])
    assert by_choice["H"].fit(hexagonal) and not by_choice["R"].fit(hexagonal)


@pytest.mark.parametrize("number", [None, 225])
def test_the_second_file_of_a_group_makes_no_operations_again(tmp_path, monkeypatch, number):
    from pymatgen.core.operations import SymmOp

    named = {} if number is None else {"symbol": None, "more": f"_space_group_IT_number {number}"}
    stored(tmp_path, "first.cif", rock_salt(**named))
    made = []
    plain = SymmOp.from_xyz_str
    monkeypatch.setattr(SymmOp, "from_xyz_str", lambda text: made.append(text) or plain(text))
    assert counts(stored(tmp_path, "second.cif", rock_salt(**named))) == {"Na": 4, "Cl": 4}
    assert made == []
