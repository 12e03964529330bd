"""ALIGNN's crystal graph: the edges of the alignn library, built with array operations.

The graph joins each site to its k nearest neighbours and to all others in the k-th one's shell.
Which sites share a shell is decided by the last bits of a distance, so a faster builder is the
same builder only if it repeats the library's floating-point operations in their order. This one
does, for the sites that can matter, and leaves out those that cannot.

Method: Choudhary and DeCost, npj Comput. Mater. 7, 185 (2021), as implemented by
``alignn.graphs.nearest_neighbor_edges`` and ``build_undirected_edgedata`` (alignn 2026.8) and
``jarvis.core.atoms.Atoms.get_all_neighbors`` (jarvis-tools 2026.6).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from featurestore.crystal import Crystal
from featurestore.errors import InvalidInputError

GRAPH_VERSION = 1
"""Raised when a change here can change a vector; part of every ALIGNN encoder's fingerprint."""

_SHORTEST_BOND = 0.15
"""Å; jarvis takes two sites that are nearer for one site and draws no edge between them."""

_LATTICE_DECIMALS = 5
_LENGTH_DECIMALS = 6

_MAX_DISTANCES = 4_000_000
"""Distances held at once, 32 MB for each array of them."""

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class GraphSettings:
    """How a graph is drawn.

    Parameters
    ----------
    cutoff : float
        Å; within it every site must have ``max_neighbors`` neighbours, or it is widened.
    max_neighbors : int
        The k of k nearest neighbours.
    use_canonize : bool
        Whether an edge that both of its ends would draw is drawn once.
    """

    cutoff: float = 8.0
    max_neighbors: int = 12
    use_canonize: bool = True


@dataclass(frozen=True, eq=False)
class CrystalGraph:
    """The directed edges of one crystal, equal ones counted instead of repeated.

    The library's multigraph holds ``count[e]`` copies of edge ``e``: without canonisation both ends
    of an edge draw it, and with it an edge from a site to its own image is still drawn twice.

    Parameters
    ----------
    n_atoms : int
    source, target : ndarray, shape (n_edges,), int64
        Site indices; edges are sorted by target.
    displacement : ndarray, shape (n_edges, 3), float64
        Å, from the source to the image of the target.
    count : ndarray, shape (n_edges,), int64
        Copies of the edge in the library's graph.
    reverse : ndarray, shape (n_edges,), int64
        Index of the same edge in the other direction; every edge has one.
    """

    n_atoms: int
    source: IntArray
    target: IntArray
    displacement: FloatArray
    count: IntArray
    reverse: IntArray

    @property
    def n_triplets(self) -> int:
        """Pairs of an edge into a site and an edge out of it, as many as the encoder computes."""
        return int((np.bincount(self.target, minlength=self.n_atoms) ** 2).sum())


def _rounded_lengths(rows: FloatArray) -> FloatArray:
    """Row lengths as ``jarvis.core.lattice.Lattice.abc`` gives them, to six decimals."""
    return np.array([round(x, _LENGTH_DECIMALS) for x in np.sqrt((rows**2).sum(axis=1)).tolist()])


def _times_lattice(vectors: FloatArray, lattice: FloatArray) -> FloatArray:
    """``vectors @ lattice`` row by row: the product that NumPy forms for one vector at a time.

    A product of two matrices may round differently from the library's many vector products.
    """
    return np.matmul(vectors[:, None, :], lattice)[:, 0, :]


class _Cell:
    """One crystal's arrays, with the library's roundings."""

    def __init__(self, crystal: Crystal) -> None:
        self.lattice = np.asarray(crystal.lattice, dtype=np.float64)
        self.rounded = np.around(self.lattice, decimals=_LATTICE_DECIMALS)
        self.frac = np.asarray(crystal.frac_coords, dtype=np.float64)
        self.cart = np.dot(self.frac, self.rounded)
        # The library takes this reciprocal lattice for a Lattice, which rounds it in turn.
        reciprocal = np.around(
            2 * np.pi * np.linalg.inv(self.rounded).T, decimals=_LATTICE_DECIMALS
        )
        self.reciprocal_lengths = _rounded_lengths(reciprocal)
        self.lengths = _rounded_lengths(self.rounded)
        self.low = self.frac.min(axis=0)
        self.high = self.frac.max(axis=0)

    def image_box(self, cutoff: float) -> tuple[FloatArray, FloatArray]:
        """First and last image along each lattice vector that the library looks at."""
        reach = np.ceil((cutoff + _SHORTEST_BOND) * self.reciprocal_lengths / (2 * math.pi))
        return np.floor(self.low) - reach, np.ceil(self.high) + reach - 1


@dataclass(frozen=True, eq=False)
class _Shells:
    """For each site the neighbours up to and with the k-th one's shell."""

    site: IntArray
    neighbor: IntArray
    image: FloatArray


def _candidates(
    cell: _Cell, radius: float, cutoff: float
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Sites, images and positions of all points that can be within ``radius`` of the cell's sites.

    A superset is returned, within the images that the library would look at for ``cutoff``.
    """
    first, last = cell.image_box(cutoff)
    # Distance between lattice planes, from the lattice that translates the images.
    spacing = 1 / np.sqrt((np.linalg.inv(cell.lattice) ** 2).sum(axis=0))
    margin = radius / spacing + 1e-3
    first = np.maximum(first, np.ceil(cell.low - margin - cell.high))
    last = np.minimum(last, np.floor(cell.high + margin - cell.low))
    axes = [np.arange(first[k], last[k] + 1) for k in range(3)]
    inside = []
    for axis, images_along in enumerate(axes):
        position = cell.frac[:, axis, None] + images_along
        low, high = cell.low[axis] - margin[axis], cell.high[axis] + margin[axis]
        inside.append((position >= low) & (position <= high))
    a, b, c = inside
    sites, i, j, k = np.nonzero(a[:, :, None, None] & b[:, None, :, None] & c[:, None, None, :])
    images = np.stack([axes[0][i], axes[1][j], axes[2][k]], axis=1)
    return sites, images, _times_lattice(images, cell.lattice) + cell.cart[sites]


def _shells(cell: _Cell, radius: float, cutoff: float, k: int) -> _Shells | None:
    """Shells found within ``radius``; None where a site has fewer than ``k`` neighbours in it."""
    sites, images, points = _candidates(cell, radius, cutoff)
    if len(sites) < k:
        return None
    found: list[tuple[IntArray, IntArray]] = []
    step = max(1, _MAX_DISTANCES // len(sites))
    for start in range(0, len(cell.cart), step):
        block = cell.cart[start : start + step]
        square = np.square(points[:, 0] - block[:, 0, None])
        square += np.square(points[:, 1] - block[:, 1, None])
        square += np.square(points[:, 2] - block[:, 2, None])
        distance = np.sqrt(square, out=square)
        distance[distance <= _SHORTEST_BOND] = np.inf
        kth = np.partition(distance, k - 1, axis=1)[:, k - 1, None]
        if not kth.max() <= radius:
            return None
        row, column = np.nonzero(distance <= kth)
        found.append((row + start, column))
    site = np.concatenate([row for row, _ in found])
    column = np.concatenate([column for _, column in found])
    return _Shells(site, sites[column], images[column])


def _nearest(cell: _Cell, settings: GraphSettings) -> _Shells:
    """The shells the library finds, from a search no wider than it has to be.

    The library lists all neighbours within the cut-off and keeps the nearest. A sphere that holds
    k neighbours of every site gives the same ones; it is grown from the radius that holds about
    twice as many at the crystal's mean density.
    """
    k = settings.max_neighbors
    volume_per_atom = abs(np.linalg.det(cell.lattice)) / len(cell.frac)
    typical = (3 * 2 * k * volume_per_atom / (4 * math.pi)) ** (1 / 3)
    cutoff = settings.cutoff
    while True:
        radius = min(typical, cutoff)
        while True:
            shells = _shells(cell, radius, cutoff, k)
            if shells is not None:
                return shells
            if radius >= cutoff:
                break
            radius = min(1.4 * radius, cutoff)
        longest = float(cell.lengths.max())
        cutoff = longest if cutoff < longest else 2 * cutoff


def _edge_codes(source: IntArray, target: IntArray, image: FloatArray) -> IntArray:
    """One number for each edge, equal where source, target and image are, ordered by target."""
    shift = image.astype(np.int64)
    reach = int(np.abs(shift).max())
    span = 2 * reach + 1
    code = target * (int(max(source.max(), target.max())) + 1) + source
    for axis in range(3):
        code = code * span + (shift[:, axis] + reach)
    return code


def build_graph(crystal: Crystal, settings: GraphSettings) -> CrystalGraph:
    """ALIGNN's k-nearest-neighbour graph of ``crystal``.

    Raises
    ------
    InvalidInputError
        If the crystal has no site, no volume or a coordinate that is not finite.
    """
    if crystal.n_atoms == 0:
        raise InvalidInputError("the structure has no atoms, so it has no graph")
    if not (np.isfinite(crystal.lattice).all() and np.isfinite(crystal.frac_coords).all()):
        raise InvalidInputError(
            "the structure has a lattice vector or coordinate that is not finite"
        )
    if abs(np.linalg.det(np.around(crystal.lattice, decimals=_LATTICE_DECIMALS))) < 1e-6:
        raise InvalidInputError("the structure's cell has no volume, so it has no neighbours")
    cell = _Cell(crystal)
    shells = _nearest(cell, settings)
    source, target, image = shells.site, shells.neighbor, shells.image
    if settings.use_canonize:
        backward = target < source
        source, target = np.where(backward, target, source), np.where(backward, source, target)
        image = np.where(backward[:, None], -image, image)
        first = np.unique(_edge_codes(source, target, image), return_index=True)[1]
        source, target, image = source[first], target[first], image[first]
    displacement = _times_lattice((cell.frac[target] + image) - cell.frac[source], cell.rounded)
    # Every edge is drawn in both directions; the copies of one differ in the last bit at most.
    n_drawn = len(source)
    source, target = np.concatenate([source, target]), np.concatenate([target, source])
    displacement = np.concatenate([displacement, -displacement])
    code = _edge_codes(source, target, np.concatenate([image, -image]))
    _, first, index, count = np.unique(
        code, return_index=True, return_inverse=True, return_counts=True
    )
    drawn_reverse = np.concatenate([index[n_drawn:], index[:n_drawn]])
    return CrystalGraph(
        n_atoms=crystal.n_atoms,
        source=source[first],
        target=target[first],
        displacement=displacement[first],
        count=count,
        reverse=drawn_reverse[first],
    )
