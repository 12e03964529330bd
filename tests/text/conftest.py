"""Small crystals, and the plain library's texts to compare with."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from featurestore.crystal import Crystal
from ingest.text.robocrystallographer import Robocrystallographer

Sites = list[tuple[str, tuple[float, float, float]]]


def _crystal(lattice: list[list[float]], sites: Sites) -> Crystal:
    species = tuple(element for element, _ in sites)
    return Crystal(np.array(lattice), species, np.array([place for _, place in sites]))


def _cubic(a: float, sites: Sites) -> Crystal:
    return _crystal([[a, 0.0, 0.0], [0.0, a, 0.0], [0.0, 0.0, a]], sites)


def _face_centred(a: float, sites: Sites) -> Crystal:
    return _crystal([[0.0, a / 2, a / 2], [a / 2, 0.0, a / 2], [a / 2, a / 2, 0.0]], sites)


def _carbon_dioxide() -> Crystal:
    u = 0.1185
    sites: Sites = []
    for x, y, z in [(0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]:
        axis = (1 if not y else -1, 1 if not z else -1, 1 if not x else -1)
        if (x, y, z) == (0, 0, 0):
            axis = (1, 1, 1)
        sites.append(("C", (x, y, z)))
        for sign in (1, -1):
            a, b, c = (sign * u * direction for direction in axis)
            sites.append(("O", (x + a, y + b, z + c)))
    return _cubic(5.624, sites)


@pytest.fixture(scope="session")
def crystals() -> dict[str, Crystal]:
    """Crystals that between them bring up every kind of sentence."""
    return {
        "rock salt": _face_centred(5.64, [("Na", (0, 0, 0)), ("Cl", (0.5, 0.5, 0.5))]),
        # Corner- and face-sharing polyhedra, which the library names in hash order.
        "half-Heusler": _face_centred(
            6.56, [("U", (0.5, 0.5, 0.5)), ("Sb", (0, 0, 0)), ("Rh", (0.25, 0.25, 0.25))]
        ),
        # Sheets with a direction.
        "molybdenite": _crystal(
            [[3.19, 0.0, 0.0], [-1.595, 3.19 * 3**0.5 / 2, 0.0], [0.0, 0.0, 12.4]],
            [
                ("Mo", (1 / 3, 2 / 3, 0.25)),
                ("Mo", (2 / 3, 1 / 3, 0.75)),
                ("S", (1 / 3, 2 / 3, 0.624)),
                ("S", (1 / 3, 2 / 3, 0.876)),
                ("S", (2 / 3, 1 / 3, 0.124)),
                ("S", (2 / 3, 1 / 3, 0.376)),
            ],
        ),
        # Tilted octahedra and several bond lengths.
        "tilted perovskite": _crystal(
            [[5.38, 0.0, 0.0], [0.0, 5.44, 0.0], [0.0, 0.0, 7.64]],
            [
                ("Ca", (0.993, 0.036, 0.25)),
                ("Ca", (0.007, 0.964, 0.75)),
                ("Ca", (0.507, 0.536, 0.25)),
                ("Ca", (0.493, 0.464, 0.75)),
                ("Ti", (0.0, 0.5, 0.0)),
                ("Ti", (0.0, 0.5, 0.5)),
                ("Ti", (0.5, 0.0, 0.0)),
                ("Ti", (0.5, 0.0, 0.5)),
                ("O", (0.071, 0.484, 0.25)),
                ("O", (0.929, 0.516, 0.75)),
                ("O", (0.429, 0.984, 0.25)),
                ("O", (0.571, 0.016, 0.75)),
                ("O", (0.711, 0.289, 0.037)),
                ("O", (0.289, 0.711, 0.963)),
                ("O", (0.289, 0.711, 0.537)),
                ("O", (0.711, 0.289, 0.463)),
                ("O", (0.789, 0.789, 0.963)),
                ("O", (0.211, 0.211, 0.037)),
                ("O", (0.211, 0.211, 0.463)),
                ("O", (0.789, 0.789, 0.537)),
            ],
        ),
        # Molecules, which are replaced by points for the comparison with minerals.
        "dry ice": _carbon_dioxide(),
    }


@pytest.fixture(scope="session")
def plain() -> ModuleType:
    """The plain ways to make the texts, which the benchmarks compare with too."""
    path = Path(__file__).parents[2] / "benchmarks" / "plain_texts.py"
    spec = importlib.util.spec_from_file_location("plain_texts", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def robocrystallographer() -> Robocrystallographer:
    """The generator, loaded once: that takes some ten seconds."""
    generator = Robocrystallographer()
    generator.warm_up()
    return generator
