"""The local order parameters of a site for each coordination number, from shared geometry.

The formulas are those of pymatgen's ``LocalStructOrderParams`` (N. E. R. Zimmermann and A. Jain,
RSC Adv. 2020, 10, 6063) with the targets and widths that matminer's ``CrystalNNFingerprint``
gives them. There each parameter walks over all ordered triples of neighbours anew; here the
angles are found once for all parameters of a coordination number, as arrays.

Notation: neighbour ``j`` is put at the north pole, ``k`` on the prime meridian; ``theta[j, k]`` is
the polar angle of ``k`` and ``phi[j, k, m]`` the azimuth of ``m``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ingest.text.robocrys_layer.exact import Array, angle, elementwise, gaussian, norm

Mask = npt.NDArray[np.bool_]
Parameters = Mapping[Any, float]

_VERY_SMALL = 1e-12
_LEFT_OF_UNITY = 1 - 1e-12
_INVERSE_PI = 1 / math.pi


class Geometry:
    """Angles between the bonds of one site.

    Parameters
    ----------
    bonds : ndarray, shape (n, 3), float64
        Vectors from the site to its neighbours, in Å.
    """

    def __init__(self, bonds: Array) -> None:
        n = len(bonds)
        self.n = n
        self.direction = bonds / norm(bonds)[:, None]
        zaxis = np.repeat(self.direction, n, axis=0)
        other = np.tile(self.direction, (n, 1))
        inner = np.vecdot(zaxis, other)
        self.theta = angle(inner).reshape(n, n)
        #: Angles in units of π, as the formulas use them.
        self.turn = self.theta * _INVERSE_PI
        square = np.vecdot(zaxis, zaxis)
        normal = other - (inner / square)[:, None] * zaxis
        length = norm(normal)
        #: Whether neighbour k lies off the axis through j, so that it has an azimuth.
        self.off_axis: Mask = (length >= _VERY_SMALL).reshape(n, n)
        with np.errstate(divide="ignore", invalid="ignore"):
            meridian = (normal / length[:, None]).reshape(n, n, 3)
        j, k, m = np.indices((n, n, n))
        distinct = (j != k) & (m != j) & (m != k)
        #: Triples for which the library looks at m at all.
        self.seen: Mask = distinct & self.off_axis[:, :, None]
        #: Triples with an azimuth.
        self.triples: Mask = self.seen & self.off_axis[:, None, :]
        self.pairs: Mask = ~np.eye(n, dtype=bool)
        at = np.nonzero(self.triples)
        self.phi = np.zeros((n, n, n))
        self.phi[at] = angle(np.vecdot(meridian[at[0], at[2]], meridian[at[0], at[1]]))

    def squared_cosine(self, factor: float) -> Array:
        """``cos(factor · phi) ** 2`` of each triple, shape (n, n, n)."""
        values = np.zeros_like(self.phi)
        values[self.triples] = elementwise(
            lambda x: math.cos(x) ** 2, factor * self.phi[self.triples]
        )
        return values

    def polar_angles(self) -> tuple[list[float], list[float]]:
        """Polar and azimuthal angle of each neighbour in the cell's Cartesian frame."""
        thetas, phis = [], []
        for x, y, z in self.direction.tolist():
            thetas.append(math.acos(max(-1.0, min(z, 1.0))))
            phi = 0.0
            if -_LEFT_OF_UNITY < z < _LEFT_OF_UNITY:
                phi = math.acos(max(-1.0, min(x / math.sqrt(x * x + y * y), 1.0)))
                if y < 0.0:
                    phi = -phi
            phis.append(phi)
        return thetas, phis


def _sum_over_m(start: Array, terms: Array) -> Array:
    """``start`` plus the terms of m = 0, 1, …, added one after the other."""
    total = start
    for m in range(terms.shape[2]):
        total = total + terms[:, :, m]
    return total


def _best(total: Array, count: Array, geometry: Geometry) -> float | None:
    """The largest mean over all choices of j and k; None for a single neighbour."""
    if geometry.n < 2:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(count > _VERY_SMALL, total / count, 0.0)
    return float(mean[geometry.pairs].max())


def _gather(
    geometry: Geometry, first: Array, first_counts: Mask, terms: Array, counts: Mask
) -> float | None:
    """The best mean of a term for k and the terms for all m, each where its mask says so."""
    total = _sum_over_m(np.where(first_counts, first, 0.0), np.where(counts, terms, 0.0))
    return _best(total, first_counts.astype(float) + counts.sum(axis=2), geometry)


def _bent(g: Geometry, p: Parameters) -> float | None:
    terms = gaussian(p["IGW_TA"] * (g.turn - p["TA"]))
    total = acc = 0.0
    for j in range(g.n):
        row = terms[j][g.pairs[j]].tolist()
        total += sum(row)
        acc += float(len(row))
    return total / acc if acc > _VERY_SMALL else None


def _target_angle(g: Geometry, p: Parameters) -> float | None:
    """Trigonal planar and tetrahedral: all neighbours at one polar angle."""
    polar = gaussian(p["IGW_TA"] * (g.turn - p["TA"]))
    terms = polar[:, None, :] * g.squared_cosine(p["fac_AA"])
    return _gather(g, polar, g.pairs, terms, g.triples)


def _pentagonal_planar(g: Geometry, p: Parameters) -> float | None:
    target = np.where(g.theta <= p["TA"] * math.pi, 0.4, 0.8)
    polar = gaussian(p["IGW_TA"] * (g.turn - target))
    cosine = np.zeros_like(g.phi)
    cosine[g.triples] = elementwise(math.cos, g.phi[g.triples])
    terms = polar[:, None, :] * cosine * cosine
    return _gather(g, polar, g.pairs, terms, g.triples)


def _equatorial(g: Geometry, p: Parameters) -> float | None:
    """T-shaped and pyramidal: all other neighbours on the equator, at equal azimuths."""
    polar = gaussian(p["IGW_EP"] * (g.turn - 0.5))
    terms = g.squared_cosine(p["fac_AA"]) * polar[:, None, :]
    return _gather(g, polar, g.pairs, terms, g.triples)


def _two_poles(
    g: Geometry, p: Parameters, equator: Array, allowed: Mask | None = None
) -> float | None:
    """Planar, octahedral and bipyramidal: neighbours on the equator and at the south pole."""
    south = g.theta >= p["min_SPP"]
    polar = gaussian(p["IGW_SPP"] * (g.turn - 1.0))
    on_equator = g.triples & ~south[:, None, :] & ~south[:, :, None]
    if allowed is not None:
        on_equator &= allowed
    at_south = g.seen & south[:, None, :]
    terms = np.where(
        at_south, polar[:, None, :], g.squared_cosine(p["fac_AA"]) * equator[:, None, :]
    )
    return _gather(g, equator, g.pairs & ~south, terms, at_south | on_equator)


def _bipyramidal(g: Geometry, p: Parameters) -> float | None:
    return _two_poles(g, p, gaussian(p["IGW_EP"] * (g.turn - 0.5)))


def _hexagonal_planar(g: Geometry, p: Parameters) -> float | None:
    return _two_poles(g, p, gaussian(p["IGW_TA"] * (np.abs(g.turn - 0.5) - p["TA"])))


def _rectangular_see_saw(g: Geometry, p: Parameters) -> float | None:
    near = g.phi < 0.75 * math.pi
    return _two_poles(g, p, gaussian(p["IGW_EP"] * (g.turn - 0.5)), near)


def _body_centred(g: Geometry, p: Parameters) -> float | None:
    if g.n <= 3:
        return None
    half = math.pi / 2.0
    upper = np.triu(g.pairs)
    south = upper & (g.theta >= p["min_SPP"])
    first = np.where(south, p["w_SPP"] * gaussian(p["IGW_SPP"] * (g.turn - 1.0)), 0.0)
    counts = g.triples & (upper & (g.theta < p["min_SPP"]))[:, :, None]
    side = np.where(g.theta > half, 1.0, -1.0)
    x = (g.theta - half) / math.asin(1 / 3)
    cosine = np.zeros_like(g.phi)
    cosine[counts] = elementwise(math.cos, 3 * g.phi[counts])
    terms = side[:, :, None] * cosine * (1 / math.exp(-0.5)) * x[:, None, :]
    terms = terms * gaussian(x)[:, None, :]
    total = _sum_over_m(first, np.where(counts, terms, 0.0))
    value = 0.0
    for j in range(g.n):
        value += sum(total[j][g.pairs[j]].tolist())
    return value / float(0.5 * float(g.n * (6 + (g.n - 2) * (g.n - 3))))


def _cuboctahedral(g: Geometry, p: Parameters) -> float | None:
    south = g.theta >= p["min_SPP"]
    polar = p["w_SPP"] * gaussian(p["IGW_SPP"] * (g.turn - 1.0))
    belt = (g.theta > p[4]) & (g.theta < p[2])
    near, far = g.theta < p[4], g.theta > p[2]
    counts = g.triples & belt[:, :, None] & ~south[:, None, :] & (belt | near | far)[:, None, :]
    cosine = np.zeros_like(g.phi)
    cosine[counts] = elementwise(math.cos, g.phi[counts])
    shifted = np.zeros_like(g.phi)
    shifted[counts] = elementwise(math.cos, g.phi[counts] - 0.5 * math.pi)
    tilt = gaussian(0.0556 * (shifted - 0.81649658))
    equator = gaussian(p[5] * (g.turn - 0.5))
    third = np.where(near, 1 / 3, 2 / 3.0)
    cap = gaussian(p[6] * (g.turn - third))
    terms = np.where(
        belt[:, None, :], cosine * cosine * equator[:, None, :], tilt * cap[:, None, :]
    )
    weight = np.where(g.pairs & south, p["w_SPP"], 0.0)
    total = _sum_over_m(np.where(g.pairs & south, polar, 0.0), np.where(counts, terms, 0.0))
    return _best(total, _sum_over_m(weight, counts.astype(float)), g)


FORMULAS: Mapping[str, Callable[[Geometry, Parameters], float | None]] = {
    "bent": _bent,
    "tri_plan_max": _target_angle,
    "tet_max": _target_angle,
    "pent_plan_max": _pentagonal_planar,
    "T": _equatorial,
    "tri_pyr": _equatorial,
    "sq_pyr": _equatorial,
    "pent_pyr": _equatorial,
    "hex_pyr": _equatorial,
    "sq_plan_max": _bipyramidal,
    "oct_max": _bipyramidal,
    "tri_bipyr": _bipyramidal,
    "pent_bipyr": _bipyramidal,
    "hex_bipyr": _bipyramidal,
    "hex_plan_max": _hexagonal_planar,
    "see_saw_rect": _rectangular_see_saw,
    "bcc": _body_centred,
    "cuboct_max": _cuboctahedral,
}
