"""What is wanted is read as it is meant, or refused with the reason."""

from __future__ import annotations

import math

import numpy as np
import pytest

from featurestore.errors import InvalidInputError
from featurestore.registry import load_registry
from train.screening.wants import Want, check_unit, combined, plausible_window


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("gap between 1.1 and 1.6", Want("gap", 1.1, 1.6)),
        (" gap BETWEEN -1e-2 AND .5 eV ", Want("gap", -0.01, 0.5, unit="eV")),
        ("ehull<0.05", Want("ehull", high=0.05, open_high=True)),
        ("ehull <= 5e-2 eV/atom", Want("ehull", high=0.05, unit="eV/atom")),
        ("n-Seebeck > -300", Want("n-Seebeck", low=-300, open_low=True)),
        ("slme >= 20", Want("slme", low=20)),
        ("maximise slme", Want("slme", goal="largest")),
        ("Minimize ehull", Want("ehull", goal="smallest")),
        ("gap between 2.000000001 and 2.0000000011", Want("gap", 2.000000001, 2.0000000011)),
        ("gap > 2 andelas", Want("gap", low=2, open_low=True, unit="andelas")),
    ],
)
def test_forms(text: str, want: Want) -> None:
    assert Want.parsed(text) == want
    assert Want.parsed(str(want)) == want


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("gap between 1.6 and 1.6", "window of no width"),
        ("gap = 1.6", "window of no width"),
        ("gap between 1.6 and 1.1", "'gap between 1.1 and 1.6'"),
        ("gap", "cannot read the want 'gap'; write"),
        ("gap < nan", "cannot read"),
        ("gap < 1e999", "beyond the largest"),
        ("gap < 1 AND ehull < 2 OR", "cannot read"),
        ("gap > -1 and < 0", "cannot read"),
    ],
)
def test_what_cannot_be_meant(text: str, reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason):
        check_unit(Want.parsed(text), "eV")


def test_open_ends_are_outside() -> None:
    values = np.array([0.0, 0.5, 1.0])
    assert Want("gap", 0.0, 1.0).holds(values).tolist() == [True, True, True]
    assert Want("gap", 0.0, 1.0, True, True).holds(values).tolist() == [False, True, False]


def test_windows_of_one_property_are_intersected() -> None:
    both = combined(["gap > 1", "ehull < 0.1", "gap <= 2 eV", "gap >= 1"])
    assert both == (
        Want("gap", 1, 2, open_low=True, unit="eV"),
        Want("ehull", high=0.1, open_high=True),
    )
    assert combined(["maximise slme", "maximise slme"]) == (Want("slme", goal="largest"),)


@pytest.mark.parametrize(
    ("wants", "reason"),
    [
        (["gap < 1", "gap > 2"], "'gap < 1' and 'gap > 2' contradict each other"),
        (["gap <= 1", "gap >= 1"], "contradict"),
        (["maximise gap", "minimise gap"], "two aims for one property"),
        (["maximise gap", "gap > 1"], "two aims for one property"),
        (["gap > 1 eV", "gap < 2000 meV"], "different units"),
        ([], "say what is wanted"),
    ],
)
def test_wants_that_contradict_each_other(wants: list[str], reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason):
        combined(wants)


def test_what_is_predicted_beyond_the_possible_counts_as_at_its_end() -> None:
    registry = load_registry()

    def window(text: str) -> Want:
        return plausible_window(Want.parsed(text), registry)

    assert window("mbj_bandgap between 0 and 0.5").low == -math.inf
    assert window("mbj_bandgap > 0").low == 0.0
    assert window("mbj_bandgap >= 0").low == -math.inf
    assert window("mbj_bandgap between 1 and 20").high == math.inf
    assert window("mbj_bandgap between 1 and 2") == Want("mbj_bandgap", 1, 2)
    assert window("maximise ehull").goal == "largest"
    assert window("of_my_own < -7") == Want("of_my_own", high=-7, open_high=True)
    for text in ("ehull < 0", "ehull < -1", "ehull > 5", "ehull between 6 and 7"):
        with pytest.raises(InvalidInputError, match=r"no material fulfils .* between 0 and 5"):
            window(text)


def test_numbers_in_another_unit_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="in meV/atom, the models predict eV/atom"):
        check_unit(Want.parsed("ehull < 50 meV/atom"), "eV/atom")
    check_unit(Want.parsed("ehull < 0.05 eV/atom"), "eV/atom")
    check_unit(Want.parsed("ehull < 0.05"), "eV/atom")
