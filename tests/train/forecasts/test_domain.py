"""Distances to training materials, against plain arithmetic; what is unseen is named."""

from __future__ import annotations

import forecast_lab as lab
import numpy as np
import pytest

import train
from featurestore.store import FeatureStore
from train.forecasts.domain import NEIGHBOURS, Domain, Traits

PARTS = (("graph", 0, 3), ("text", 3, 5))


def traits(n: int, elements: tuple[str, ...] = ("Na", "Cl"), n_atoms: float = 2.0) -> Traits:
    return Traits(
        ("NaCl",) * n,
        ("AB",) * n,
        (frozenset(elements),) * n,
        {"n_atoms": np.full(n, n_atoms), "volume_per_atom": np.full(n, 20.0)},
    )


def domain(rows: np.ndarray) -> Domain:
    n = len(rows)
    return Domain.of([f"m{i}" for i in range(n)], np.arange(n, dtype=float), rows, PARTS, traits(n))


def rows(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 5)).astype(np.float32)


def plain(known: np.ndarray, new: np.ndarray, leave_out: bool) -> np.ndarray:
    """Mean distance to the nearest, all pairs in float64."""
    scaled = [(x - known.mean(axis=0)) / known.std(axis=0) for x in (known, new)]
    apart = np.linalg.norm(scaled[1][:, None] - scaled[0][None], axis=2)
    if leave_out:
        np.fill_diagonal(apart, np.inf)
    return np.sort(apart, axis=1)[:, :NEIGHBOURS].mean(axis=1)


def test_distances_are_those_of_plain_arithmetic() -> None:
    known, new = rows(60), rows(9, seed=1) * 2
    found = domain(known).distances(new, [f"n{i}" for i in range(9)])
    usual = []
    for name, a, b in PARTS:
        part = known[:, a:b].astype(np.float64), new[:, a:b].astype(np.float64)
        own, apart = plain(part[0], part[0], True), plain(*part, False)
        usual.append(np.median(own))
        expected = [100 * np.mean(own < one) for one in apart]
        np.testing.assert_allclose(found.of_features[name], expected, atol=2)
    weights = np.repeat(1 / np.array(usual), [3, 2])
    scaled = [(x - known.mean(axis=0)) / known.std(axis=0) * weights for x in (known, new)]
    apart = np.linalg.norm(scaled[1][:, None] - scaled[0][None], axis=2)
    np.testing.assert_array_equal(found.nearest, np.argsort(apart, axis=1)[:, :NEIGHBOURS])
    own = np.linalg.norm(scaled[0][:, None] - scaled[0][None], axis=2)
    np.fill_diagonal(own, np.inf)
    median = np.median(np.sort(own, axis=1)[:, :NEIGHBOURS].mean(axis=1))
    expected = np.sort(apart, axis=1)[:, :NEIGHBOURS].mean(axis=1) / median
    np.testing.assert_allclose(found.ratio, expected, rtol=1e-4)


def test_a_training_material_is_measured_to_the_others() -> None:
    known = rows(40)
    found = domain(known).distances(known[:3], ["m0", "m1", "m2"])
    assert all(row not in list(near) for row, near in enumerate(found.nearest))
    assert (found.ratio > 0).all() and (found.percentile < 100).all()


def test_what_lies_beyond_all_is_at_the_hundredth_percentile() -> None:
    found = domain(rows(40)).distances(np.full((1, 5), 50, np.float32), ["far"])
    assert found.percentile[0] == 100 and found.ratio[0] > 10


@pytest.mark.parametrize("n", [2, 3])
def test_few_training_materials_and_constant_columns(n: int) -> None:
    known = rows(n)
    known[:, 1] = 7
    found = domain(known).distances(rows(2, seed=3), ["a", "b"])
    assert np.isfinite(found.ratio).all() and found.nearest.shape == (2, n - 1)


def test_what_is_unseen_is_named() -> None:
    known = domain(rows(5))
    assert known.unseen(traits(1)) == [()]
    (words,) = known.unseen(traits(1, ("Na", "Tc"), n_atoms=40))
    assert words == ("element Tc", "n_atoms 40, not 2 to 2")


@pytest.mark.slow
def test_forecasts_name_what_is_near_far_and_unseen(
    lab_store: FeatureStore, lab_model: str, tmp_path
) -> None:
    files = lab.candidates(tmp_path / "new", {"inside": 4.0123, "beyond": 19.0})
    (files / "salt.vasp").write_text(lab.poscar(4.4, ("Na", "Br")))
    told = {row.material_id: row for row in train.predict(lab_store, files).rows}
    near = told["inside"]
    assert near.unseen == () and near.percentile < 100
    edges = {f"known-{i:02}": lab.edge(i) for i in range(40)}
    closest = min(edges, key=lambda name: abs(edges[name] - 4.0123))
    assert closest in [name for name, _ in near.nearest]
    for name, value in near.nearest:
        assert value == pytest.approx(lab.target(int(name[-2:])))
    assert told["beyond"].percentile == 100
    assert set(told["beyond"].of_features) == {"structure", "text"}
    assert any("volume_per_atom" in words for words in told["beyond"].unseen)
    assert told["salt"].unseen[:2] == ("element Br", "element Na")
