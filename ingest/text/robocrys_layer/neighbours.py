"""CrystalNN's near neighbours of each site, in array form and found once per structure.

The method is that of pymatgen's ``CrystalNN`` with its default settings (H. Pan et al., Inorg.
Chem. 2021, 60, 1590) on pymatgen's ``VoronoiNN``; the arithmetic keeps their order of operations,
so that every weight has the same bits. Left out is what its users never read: adjacent faces,
normals, and a site object for each of the hundred points around a site.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pymatgen.core.local_env import CrystalNN, _get_default_radius, _get_radius
from scipy.spatial import Voronoi

from ingest.text.robocrys_layer.exact import Array, norm

if TYPE_CHECKING:
    from pymatgen.core import Structure

SEARCH_CUTOFF = 7.0
DISTANCE_CUTOFFS = (0.5, 1.0)
ELECTRONEGATIVITY_WEIGHT = 3.0


@dataclass(frozen=True)
class Neighbours:
    """The possible neighbours of one site, from the most to the least likely.

    Parameters
    ----------
    index : list of int
        Site index of each neighbour.
    image : list of tuple of int
        Lattice image of each neighbour.
    coords : ndarray, shape (n, 3), float64
        Cartesian coordinates of each neighbour, in Å.
    weight : list of float
        Weight of each neighbour, rounded to three decimals.
    coordination : dict
        Coordination number to its likelihood.
    members : dict
        Coordination number to the positions, in this list, of the neighbours it counts.
    """

    index: list[int]
    image: list[tuple[int, ...]]
    coords: Array
    weight: list[float]
    coordination: dict[int, float]
    members: dict[int, list[int]]


@dataclass(frozen=True)
class _Faces:
    """The faces of a Voronoi cell: whose they are, their solid angle and their area in Å²."""

    index: npt.NDArray[np.int64]
    image: npt.NDArray[np.int64]
    coords: Array
    solid_angle: Array
    area: Array


def neighbours(structure: Structure, n: int) -> Neighbours:
    """CrystalNN's neighbours of site ``n`` of an ordered structure.

    Raises
    ------
    RuntimeError, ValueError
        Where the library raises them: no closed Voronoi cell can be found.
    """
    faces = _voronoi_faces(structure, n)
    centre = structure[n]
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = faces.solid_angle / _largest(faces.solid_angle)
        weights = weights * (faces.solid_angle / faces.area)
        species = [structure[i].specie for i in faces.index.tolist()]
        weights = weights * np.array([_affinity(centre.specie, other) for other in species])
    values = weights.tolist()
    order = sorted(range(len(values)), key=values.__getitem__, reverse=True)
    highest = values[order[0]]
    if highest == 0:
        return _NONE
    distances = norm(centre.coords - faces.coords).tolist()
    values = [value / highest for value in values]
    values = [
        value * _closeness(_bond_length(centre.specie, species[k]), distances[k])
        for k, value in enumerate(values)
    ]
    order = sorted(order, key=values.__getitem__, reverse=True)
    if values[order[0]] == 0:
        return _NONE
    rounded = np.round(np.array([values[k] for k in order]), 3).tolist()
    kept = [(k, weight) for k, weight in zip(order, rounded, strict=True) if weight > 0]
    chosen = [k for k, _ in kept]
    weight = [w for _, w in kept]
    coordination, members = _coordination(weight)
    return Neighbours(
        index=faces.index[chosen].tolist(),
        image=[tuple(image) for image in faces.image[chosen].tolist()],
        coords=faces.coords[chosen],
        weight=weight,
        coordination=coordination,
        members=members,
    )


_NONE = Neighbours(
    index=[], image=[], coords=np.empty((0, 3)), weight=[], coordination={0: 1.0}, members={0: []}
)


def _largest(values: Array) -> float:
    # Python's max and not NumPy's: the two differ where a NaN is among the values.
    return max(values.tolist())


def _coordination(weight: list[float]) -> tuple[dict[int, float], dict[int, list[int]]]:
    """The likelihood of each coordination number and the neighbours that it counts."""
    bins: list[float] = []
    for value in weight:
        if not bins or bins[-1] != value:
            bins.append(value)
    bins.append(0)
    likelihood: dict[int, float] = {}
    members: dict[int, list[int]] = {}
    for position, value in enumerate(bins[:-1]):
        counted = [k for k, w in enumerate(weight) if w >= value]
        members[len(counted)] = counted
        likelihood[len(counted)] = CrystalNN._semicircle_integral(bins, position)
    rest = 1 - sum(likelihood.values())
    if rest > 0:
        members[0] = []
        likelihood[0] = rest
    return likelihood, members


def _voronoi_faces(structure: Structure, n: int) -> _Faces:
    """The faces of the Voronoi cell of site ``n`` that subtend a solid angle."""
    lattice = structure.lattice
    corners = [[1, 1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, -1]]
    largest = max(float(np.linalg.norm(lattice.get_cartesian_coords(c))) for c in corners) + 0.01
    cutoff = SEARCH_CUTOFF
    while True:
        try:
            return _faces_within(structure, n, cutoff)
        except RuntimeError as error:
            if cutoff >= largest:
                if error.args and "vertex" in error.args[0]:
                    raise
                raise RuntimeError(
                    "Error in Voronoi neighbor finding; max cutoff exceeded"
                ) from error
            cutoff = min(cutoff * 2, largest + 0.001)


def _faces_within(structure: Structure, n: int, cutoff: float) -> _Faces:
    lattice = structure.lattice
    frac, distance, index, image = lattice.get_points_in_sphere(
        structure.frac_coords, structure[n].coords, cutoff, zip_results=False
    )
    order = np.argsort(distance, kind="stable")
    points = np.vecmat(frac[order], lattice.matrix)
    voronoi = Voronoi(points)
    pairs = voronoi.ridge_points
    touching = np.flatnonzero((pairs == 0).any(axis=1)).tolist()
    faces: dict[int, list[int]] = {}
    for ridge in touching:
        vertices = voronoi.ridge_vertices[ridge]
        if -1 in vertices:
            raise RuntimeError(
                "This structure is pathological, infinite vertex in the Voronoi construction"
            )
        faces[int(pairs[ridge].sum())] = vertices
    if not faces:
        raise ValueError("No Voronoi neighbors found for site - try increasing cutoff")
    others = np.fromiter(faces, np.int64, len(faces))
    solid_angle, volume = _solid_angle_and_volume(points[0], voronoi.vertices, list(faces.values()))
    distance_to_face = norm(points[0] - points[others]) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        area = 3 * volume / distance_to_face
    visible = solid_angle > 0 * _largest(solid_angle)
    seen = others[visible]
    return _Faces(
        index=index[order][seen],
        image=image[order][seen].astype(np.int64),
        coords=points[seen],
        solid_angle=solid_angle[visible],
        area=area[visible],
    )


def _solid_angle_and_volume(
    centre: Array, vertices: Array, faces: list[list[int]]
) -> tuple[Array, Array]:
    """The solid angle that each face subtends at ``centre``, and the volume between them.

    Each face is cut into triangles from its first vertex, which are summed in their order.
    """
    sizes = [max(len(face) - 2, 0) for face in faces]
    face = np.repeat(np.arange(len(faces)), sizes)
    first = vertices[
        list(chain.from_iterable([f[0]] * s for f, s in zip(faces, sizes, strict=True)))
    ]
    second = vertices[list(chain.from_iterable(f[1:-1] for f in faces))]
    third = vertices[list(chain.from_iterable(f[2:] for f in faces))]
    a, b, c = first - centre, second - centre, third - centre
    length_a, length_b, length_c = norm(a), norm(b), norm(c)
    triple = np.abs(np.vecdot(a, np.cross(b, c)))
    denominator = (
        length_a * length_b * length_c
        + length_c * np.vecdot(a, b)
        + length_b * np.vecdot(a, c)
        + length_a * np.vecdot(b, c)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        half = np.arctan(triple / denominator)
    right = np.where(triple > 0, 0.5 * math.pi, -0.5 * math.pi)
    half = np.where(denominator == 0, right, half)
    angle = np.where(half > 0, half, half + math.pi) * 2
    tetrahedron = np.abs(np.vecdot(centre - third, np.cross(first - third, second - third))) / 6
    # bincount adds in sequence, as the library does; reduceat would pair the terms.
    angles: Array = np.bincount(face, angle, minlength=len(faces)).astype(np.float64)
    volumes: Array = np.bincount(face, tetrahedron, minlength=len(faces)).astype(np.float64)
    return angles, volumes


@lru_cache(maxsize=20_000)
def _affinity(one: Any, other: Any) -> float:
    """How much more likely two elements of different electronegativity bond."""
    if math.isnan(one.X) or math.isnan(other.X):
        return 1.0
    return 1 + ELECTRONEGATIVITY_WEIGHT * math.sqrt(abs(one.X - other.X) / 3.3)


@lru_cache(maxsize=2_000)
def _radii(specie: Any) -> tuple[float, float]:
    """The ionic radius, 0 where there is none, and the covalent one, in Å."""
    site = SimpleNamespace(specie=specie)
    return _get_radius(site), _get_default_radius(site)


def _bond_length(one: Any, other: Any) -> float:
    """The sum of two radii in Å: ionic where both elements have one, else covalent."""
    ionic_one, covalent_one = _radii(one)
    ionic_other, covalent_other = _radii(other)
    if ionic_one > 0 and ionic_other > 0:
        return ionic_one + ionic_other
    return covalent_one + covalent_other


def _closeness(bond_length: float, distance: float) -> float:
    """1 for a bond, 0 far beyond, and a half cosine between."""
    low = bond_length + DISTANCE_CUTOFFS[0]
    high = bond_length + DISTANCE_CUTOFFS[1]
    if distance <= low:
        return 1.0
    if distance < high:
        return (math.cos((distance - low) / (high - low) * math.pi) + 1) * 0.5
    return 0.0
