"""A drawing of a crystal structure as SVG: the cell, the atoms in it and their bonds.

A parallel projection, turned a little about two axes. Two atoms are bonded where they are nearer
than 1.15 times the sum of their covalent radii.
"""

from __future__ import annotations

from html import escape
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from featurestore.output.elements import look
from featurestore.output.labels import formula_text

if TYPE_CHECKING:
    from featurestore.crystal import Crystal

Floats = npt.NDArray[np.float64]

#: Of larger cells nothing could be seen.
MOST_ATOMS = 400
_BONDED = 1.15
_SIZE = 260.0
_MARGIN = 18.0
# An atom's radius in the drawing is this share of its covalent radius.
_BALL = 0.45
_EDGE_OF_CELL = 1e-3
_FLAT = 1e-6
_UNKNOWN = "#cc66cc", 1.5


def structure_svg(crystal: Crystal) -> str:
    """The picture; of more than 400 atoms only the cell, of a cell without a volume nothing.

    Returns
    -------
    str
        An SVG element without scripts, with the elements named on hover and in a legend; or an
        empty text.
    """
    if not (crystal.volume > _FLAT and np.isfinite(crystal.frac_coords).all()):
        return ""
    species, points = _with_images(crystal) if crystal.n_atoms <= MOST_ATOMS else ((), None)
    corners = np.array(list(product((0.0, 1.0), repeat=3)))
    frame = corners @ crystal.lattice
    turned = (frame if points is None else np.vstack([frame, points])) @ _view(crystal.lattice)
    low, high = turned.min(axis=0), turned.max(axis=0)
    scale = (_SIZE - 2 * _MARGIN) / max(float((high - low)[:2].max()), 1e-9)
    placed = (turned - low) * scale + _MARGIN
    placed[:, 1] = (high - low)[1] * scale + 2 * _MARGIN - placed[:, 1]
    width, height = ((high - low)[:2] * scale + 2 * _MARGIN).tolist()
    shapes = [*_cell_edges(corners, placed[:8])]
    if points is not None:
        shapes += _atoms_and_bonds(species, points, placed[8:], scale)
    shapes.sort(key=lambda one: one[0])
    width = max(width, min(len(set(species)) * 40 + 2 * _MARGIN, _SIZE))
    legend, below = _legend(species, height)
    name = escape(formula_text(crystal.formula))
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width:.0f} {below:.0f}' "
        f"width='{width:.0f}' height='{below:.0f}' role='img' aria-label='Unit cell of {name}'>"
        + "".join(shape for _, shape in shapes)
        + legend
        + "</svg>"
    )


def _view(lattice: Floats) -> Floats:
    """Columns of the screen's axes: right, up, and towards the reader; shape (3, 3)."""
    # The first lattice vector runs to the right and the third upwards, seen a little from the side.
    right = lattice[0] / np.linalg.norm(lattice[0])
    up = lattice[2] - (lattice[2] @ right) * right
    up = up / np.linalg.norm(up)
    axes = np.stack([right, up, np.cross(right, up)], axis=1)
    yaw, pitch = np.radians(25.0), np.radians(14.0)
    turn = np.array(
        [[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]]
    ) @ np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    return np.asarray(axes @ turn)


def _with_images(crystal: Crystal) -> tuple[tuple[str, ...], Floats]:
    """The atoms, those on a face, edge or corner of the cell once on each: Cartesian, in Å."""
    species, points = [], []
    for element, place in zip(crystal.species, crystal.wrapped_coords, strict=True):
        near = [
            (0.0, 1.0) if min(x, 1 - x) < _EDGE_OF_CELL else (float(x),) for x in place.tolist()
        ]
        for image in product(*near):
            species.append(element)
            points.append(image)
    return tuple(species), np.array(points) @ crystal.lattice


def _cell_edges(corners: Floats, placed: Floats) -> list[tuple[float, str]]:
    edges = [
        (i, j)
        for i in range(8)
        for j in range(i + 1, 8)
        if np.abs(corners[i] - corners[j]).sum() == 1
    ]
    return [
        (
            float(placed[[i, j], 2].mean()) - 1e3,
            f"<line x1='{placed[i, 0]:.1f}' y1='{placed[i, 1]:.1f}' x2='{placed[j, 0]:.1f}' "
            f"y2='{placed[j, 1]:.1f}' stroke='#8c8c8c'/>",
        )
        for i, j in edges
    ]


def _atoms_and_bonds(
    species: tuple[str, ...], points: Floats, placed: Floats, scale: float
) -> list[tuple[float, str]]:
    radii = np.array([_look(element)[1] for element in species])
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
    bonded = (apart < _BONDED * (radii[:, None] + radii[None])) & (apart > 0.1)
    shapes = []
    for i, j in zip(*np.nonzero(bonded), strict=True):
        # Each half ends below its own atom.
        (x, y, depth), (mx, my) = placed[i], (placed[i, :2] + placed[j, :2]) / 2
        shapes.append(
            (
                float(depth) - 1e-3,
                f"<line x1='{x:.1f}' y1='{y:.1f}' x2='{mx:.1f}' y2='{my:.1f}' "
                f"stroke='{_look(species[i])[0]}' stroke-width='3'/>",
            )
        )
    for element, radius, (x, y, depth) in zip(species, radii, placed.tolist(), strict=True):
        ball = max(2.5, _BALL * float(radius) * scale * 0.55)
        shapes.append(
            (
                depth,
                f"<circle cx='{x:.1f}' cy='{y:.1f}' r='{ball:.1f}' fill='{_look(element)[0]}' "
                f"stroke='#444' stroke-width='0.8'><title>{escape(element)}</title></circle>",
            )
        )
    return shapes


def _legend(species: tuple[str, ...], height: float) -> tuple[str, float]:
    parts, x, y = [], _MARGIN, height + 8
    for element in dict.fromkeys(species):
        if x > _SIZE - 30:
            x, y = _MARGIN, y + 18
        parts.append(
            f"<circle cx='{x:.0f}' cy='{y:.0f}' r='5' fill='{_look(element)[0]}' stroke='#444' "
            f"stroke-width='0.8'/><text x='{x + 9:.0f}' y='{y + 4:.0f}' font-size='12' "
            f"font-family='sans-serif' fill='currentColor'>{escape(element)}</text>"
        )
        x += 40
    return "".join(parts), y + 12


def _look(element: str) -> tuple[str, float]:
    """The colour of an element, and its covalent radius in Å."""
    return look(element) or _UNKNOWN
