"""A crystal as something to look at: atoms, bonds and the edges of the cell, and from where."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from featurestore.errors import InvalidInputError
from featurestore.output.bonds import bonded_sites, radius_of
from featurestore.output.elements import look, name_of

if TYPE_CHECKING:
    from featurestore.crystal import Crystal

Floats = npt.NDArray[np.float64]

#: Atoms that are drawn at most.
MOST_ATOMS = 4000
# An atom this near to a face of the cell (fraction of an edge) is drawn on the opposite one, too.
_ON_FACE = 0.02
_FLAT = 1e-6
_UNKNOWN = "#cc66cc"


@dataclass(frozen=True)
class Scene:
    """What is drawn of a crystal.

    Parameters
    ----------
    species : tuple of str
        Element of each atom.
    positions : ndarray, shape (n, 3), float64
        Cartesian, in Å.
    bonds : tuple of (int, int)
        Pairs of atoms; see `featurestore.output.bonds.bonded_sites`.
    edges : ndarray, shape (12, 2, 3), float64
        Of the cell at the origin.
    view : ndarray, shape (3, 3), float64
        Columns of the screen's axes: right, up, and towards the reader.
    """

    species: tuple[str, ...]
    positions: Floats
    bonds: tuple[tuple[int, int], ...]
    edges: Floats
    view: Floats

    def values(self) -> dict[str, Any]:
        """As JSON values, with the colour, radius and name of each element."""
        return {
            "species": list(self.species),
            "positions": np.round(self.positions, 4).tolist(),
            "bonds": [list(pair) for pair in self.bonds],
            "edges": np.round(self.edges, 4).tolist(),
            "view": np.round(self.view, 6).tolist(),
            "elements": {
                name: {"colour": colour_of(name), "radius": radius_of(name), "name": name_of(name)}
                for name in sorted(set(self.species))
            },
        }


def colour_of(symbol: str) -> str:
    """The colour of an element as ``#rrggbb``; pink for what is none."""
    found = look(symbol)
    return _UNKNOWN if found is None else found[0]


def can_be_drawn(crystal: Crystal) -> bool:
    """Whether the cell has a volume, and its atoms places."""
    return bool(crystal.volume > _FLAT and np.isfinite(crystal.frac_coords).all())


def scene(crystal: Crystal, cells: tuple[int, int, int] = (1, 1, 1)) -> Scene:
    """The atoms of so many cells along each axis, those on a face drawn on the other side, too.

    Raises
    ------
    InvalidInputError
        If these are too many atoms, or no cells, or the cell has no volume.
    """
    if not can_be_drawn(crystal):
        raise InvalidInputError("a cell without a volume cannot be drawn")
    if min(cells) < 1 or crystal.n_atoms * int(np.prod(cells)) > MOST_ATOMS:
        raise InvalidInputError(
            f"{' × '.join(map(str, cells))} cells of {crystal.n_atoms} atoms: at most "
            f"{MOST_ATOMS:,} atoms are drawn"
        )
    shifts = np.array(list(product(*(range(-1, n + 1) for n in cells))))
    places = crystal.wrapped_coords[None] + shifts[:, None]
    inside = ((places >= -_ON_FACE) & (places <= np.array(cells) + _ON_FACE)).all(axis=2)
    which, site = np.nonzero(inside)
    return Scene(
        species=tuple(crystal.species[i] for i in site),
        positions=places[inside] @ crystal.lattice,
        bonds=_bonds(crystal, shifts[which], site),
        edges=edges_of(crystal.lattice),
        view=view_of(crystal.lattice),
    )


def _bonds(
    crystal: Crystal, shifts: npt.NDArray[np.int64], sites: npt.NDArray[np.int64]
) -> tuple[tuple[int, int], ...]:
    """The bonds between what is drawn: atoms number ``sites`` of the cells ``shifts``."""
    number = {
        (site, *shift): i
        for i, (site, shift) in enumerate(zip(sites.tolist(), shifts.tolist(), strict=True))
    }
    near: dict[int, list[tuple[int, list[int]]]] = {}
    for (a, b), shift in zip(*(part.tolist() for part in bonded_sites(crystal)), strict=True):
        near.setdefault(a, []).append((b, shift))
    found = []
    for (site, *shift), i in number.items():
        for b, step in near.get(site, ()):
            j = number.get((b, *(x + y for x, y in zip(shift, step, strict=True))))
            if j is not None and j > i:
                found.append((i, j))
    return tuple(found)


def edges_of(lattice: Floats) -> Floats:
    """The edges of a cell: shape (12, 2, 3), in the lattice's unit."""
    corners = list(product((0, 1), repeat=3))
    pairs = [
        (a, b)
        for a, b in product(corners, corners)
        if a < b and sum(x != y for x, y in zip(a, b, strict=True)) == 1
    ]
    return np.array(pairs, np.float64) @ lattice


def view_of(lattice: Floats) -> Floats:
    """From where a cell is seen; shape (3, 3), the columns of `Scene.view`.

    The first lattice vector runs to the right and the third upwards, seen a little from the side
    and from above.
    """
    right = lattice[0] / np.linalg.norm(lattice[0])
    up = lattice[2] - (lattice[2] @ right) * right
    up = up / np.linalg.norm(up)
    axes = np.stack([right, up, np.cross(right, up)], axis=1)
    yaw, pitch = np.radians(25.0), np.radians(14.0)
    turn = np.array(
        [[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]]
    ) @ np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    return np.asarray(axes @ turn)
