"""A crystal as something to look at: atoms, bonds and the edges of the cell, and a flat drawing."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from explain.explore.elements import ELEMENTS
from featurestore.crystal import Crystal
from featurestore.errors import InvalidInputError

#: Atoms that are drawn at most.
MOST_ATOMS = 4000
# Two atoms are joined where they are nearer than their covalent radii together and a little more.
_BOND = 1.15
# An atom this near to a face of the cell (fraction of an edge) is drawn on the opposite one, too.
_ON_FACE = 0.02
_SIZE = 120.0
_UNKNOWN = "#ea2f6b"


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
        Pairs of atoms.
    edges : ndarray, shape (12, 2, 3), float64
        Of the cell at the origin.
    """

    species: tuple[str, ...]
    positions: npt.NDArray[np.float64]
    bonds: tuple[tuple[int, int], ...]
    edges: npt.NDArray[np.float64]

    def values(self) -> dict[str, Any]:
        """As JSON values, with the colour and radius of each element."""
        return {
            "species": list(self.species),
            "positions": np.round(self.positions, 4).tolist(),
            "bonds": [list(pair) for pair in self.bonds],
            "edges": np.round(self.edges, 4).tolist(),
            "elements": {
                name: {"colour": colour_of(name), "radius": _radius(name), "name": _name(name)}
                for name in sorted(set(self.species))
            },
        }


def colour_of(symbol: str) -> str:
    """The colour of an element, as ``#rrggbb``; pink for what is none."""
    found = ELEMENTS.get(symbol)
    return found.colour if found is not None else _UNKNOWN


def _radius(symbol: str) -> float:
    found = ELEMENTS.get(symbol)
    return found.radius if found is not None else 1.5


def _name(symbol: str) -> str:
    found = ELEMENTS.get(symbol)
    return found.name if found is not None else symbol


def scene(crystal: Crystal, cells: tuple[int, int, int] = (1, 1, 1)) -> Scene:
    """The atoms of so many cells along each axis, those on a face drawn on the other side, too.

    Raises
    ------
    InvalidInputError
        If these are too many atoms, or no cells.
    """
    if min(cells) < 1 or crystal.n_atoms * int(np.prod(cells)) > MOST_ATOMS:
        raise InvalidInputError(
            f"{' × '.join(map(str, cells))} cells of {crystal.n_atoms} atoms: at most "
            f"{MOST_ATOMS:,} atoms are drawn"
        )
    species: list[str] = []
    fractional: list[npt.NDArray[np.float64]] = []
    for shift in product(*(range(-1, n + 1) for n in cells)):
        for symbol, site in zip(crystal.species, crystal.wrapped_coords, strict=True):
            place = site + shift
            if all(-_ON_FACE <= x <= n + _ON_FACE for x, n in zip(place, cells, strict=True)):
                species.append(symbol)
                fractional.append(place)
    positions = np.array(fractional).reshape(-1, 3) @ crystal.lattice
    return Scene(tuple(species), positions, _bonds(species, positions), _edges(crystal.lattice))


def _bonds(species: list[str], positions: npt.NDArray[np.float64]) -> tuple[tuple[int, int], ...]:
    radii = np.array([_radius(symbol) for symbol in species])
    found: list[tuple[int, int]] = []
    for i in range(len(species) - 1):
        distances = np.linalg.norm(positions[i + 1 :] - positions[i], axis=1)
        near = (distances < _BOND * (radii[i + 1 :] + radii[i])) & (distances > 0.3)
        found += [(i, i + 1 + int(j)) for j in np.flatnonzero(near)]
    return tuple(found)


def _edges(lattice: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    corners = list(product((0, 1), repeat=3))
    pairs = [
        (a, b)
        for a, b in product(corners, corners)
        if a < b and sum(x != y for x, y in zip(a, b, strict=True)) == 1
    ]
    return np.array([[np.array(a) @ lattice, np.array(b) @ lattice] for a, b in pairs])


def svg(crystal: Crystal, title: str) -> str:
    """A flat drawing of one cell, seen a little from the side and from above.

    Every value in it is a number or is escaped; it has no script, style or reference.
    """
    from markupsafe import escape

    drawn = scene(crystal)
    turned = drawn.positions @ _view()
    edges = drawn.edges @ _view()
    everything = np.concatenate([turned, edges.reshape(-1, 3)])
    low, high = everything.min(axis=0), everything.max(axis=0)
    scale = (_SIZE - 24) / max(float((high - low)[:2].max()), 1.0)
    middle = (low + high) / 2

    def flat(point: npt.NDArray[np.float64]) -> tuple[float, float]:
        x, y = (point - middle)[:2] * scale
        return round(_SIZE / 2 + float(x), 1), round(_SIZE / 2 - float(y), 1)

    parts: list[tuple[float, str]] = []
    for start, end in edges:
        (x1, y1), (x2, y2) = flat(start), flat(end)
        line = f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="#8a8f98" stroke-width=".7"/>'
        parts.append((float(min(start[2], end[2])) - 1, line))
    for i, j in drawn.bonds:
        (x1, y1), (x2, y2) = flat(turned[i]), flat(turned[j])
        line = f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="#9aa0a8" stroke-width="2"/>'
        parts.append((float(min(turned[i, 2], turned[j, 2])), line))
    for symbol, place in zip(drawn.species, turned, strict=True):
        x, y = flat(place)
        r = round(max(0.42 * _radius(symbol) * scale, 1.2), 1)
        circle = (
            f'<circle cx="{x}" cy="{y}" r="{r}" fill="{colour_of(symbol)}" stroke="#3c4046" '
            'stroke-width=".6"/>'
        )
        parts.append((float(place[2]) + 1e-3, circle))
    drawing = "".join(part for _, part in sorted(parts, key=lambda one: one[0]))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_SIZE:g} {_SIZE:g}" '
        f'width="{_SIZE:g}" height="{_SIZE:g}" role="img"><title>{escape(title)}</title>'
        f"{drawing}</svg>"
    )


def _view() -> npt.NDArray[np.float64]:
    """A rotation, applied from the right; x is right, y up and z to the reader."""
    about_y, about_x = np.radians(-22.0), np.radians(14.0)
    upright = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])  # c is up
    turn = np.array(
        [
            [np.cos(about_y), 0, -np.sin(about_y)],
            [0, 1, 0],
            [np.sin(about_y), 0, np.cos(about_y)],
        ]
    )
    tilt = np.array(
        [
            [1, 0, 0],
            [0, np.cos(about_x), np.sin(about_x)],
            [0, -np.sin(about_x), np.cos(about_x)],
        ]
    )
    return np.asarray(upright @ turn @ tilt)
