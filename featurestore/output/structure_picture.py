"""A drawing of a crystal structure as SVG: the cell, the atoms in it and their bonds.

A parallel projection, turned a little about two axes.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from featurestore.output.bonds import radius_of
from featurestore.output.labels import formula_text
from featurestore.output.scene import Scene, can_be_drawn, colour_of, edges_of, scene, view_of

if TYPE_CHECKING:
    from featurestore.crystal import Crystal

Floats = npt.NDArray[np.float64]

#: Of larger cells nothing could be seen.
MOST_ATOMS = 400
_SIZE = 260.0
# An atom's radius in the drawing is this share of its covalent radius.
_BALL = 0.3


def structure_svg(crystal: Crystal, size: float = _SIZE, legend: bool = True) -> str:
    """The picture; of more than 400 atoms only the cell, of a cell without a volume nothing.

    Parameters
    ----------
    crystal : Crystal
        What is drawn.
    size : float
        The longer side, in pixels.
    legend : bool
        Whether the elements are named below.

    Returns
    -------
    str
        An SVG element without scripts, styles or references, with the elements named on hover; or
        an empty text.
    """
    if not can_be_drawn(crystal):
        return ""
    drawn = scene(crystal) if crystal.n_atoms <= MOST_ATOMS else _empty(crystal)
    edges = drawn.edges @ drawn.view
    atoms = drawn.positions @ drawn.view
    # Half an atom sticks out of a cell that it is at the corner of.
    radii = _BALL * np.array([radius_of(symbol) for symbol in drawn.species]).reshape(-1, 1)
    everything = np.vstack([edges.reshape(-1, 3), atoms - radii, atoms + radii])
    low, high = everything.min(axis=0), everything.max(axis=0)
    margin = size / 40
    scale = (size - 2 * margin) / max(float((high - low)[:2].max()), 1e-9)
    width, height = ((high - low)[:2] * scale + 2 * margin).tolist()

    def placed(points: Floats) -> Floats:
        found = (points - low) * scale + margin
        found[..., 1] = height - found[..., 1]
        return np.asarray(found)

    shapes = _cell_edges(placed(edges))
    shapes += _atoms_and_bonds(drawn, placed(atoms), scale, size)
    shapes.sort(key=lambda one: one[0])
    names, below = _legend(drawn.species, margin, height, size) if legend else ("", height)
    if legend:
        width = max(width, min(len(set(drawn.species)) * 40 + 2 * margin, size))
    name = escape(formula_text(crystal.formula))
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width:.0f} {below:.0f}' "
        f"width='{width:.0f}' height='{below:.0f}' role='img' aria-label='Unit cell of {name}'>"
        + "".join(shape for _, shape in shapes)
        + names
        + "</svg>"
    )


def _empty(crystal: Crystal) -> Scene:
    nothing = np.zeros((0, 3))
    return Scene((), nothing, (), edges_of(crystal.lattice), view_of(crystal.lattice))


def _cell_edges(placed: Floats) -> list[tuple[float, str]]:
    # Behind the atoms at their ends, and before those that are farther away.
    return [
        (
            float(min(a[2], b[2])) - 1.0,
            f"<line x1='{a[0]:.1f}' y1='{a[1]:.1f}' x2='{b[0]:.1f}' y2='{b[1]:.1f}' "
            "stroke='#8c8c8c'/>",
        )
        for a, b in placed
    ]


def _atoms_and_bonds(
    drawn: Scene, placed: Floats, scale: float, size: float
) -> list[tuple[float, str]]:
    shapes = []
    thick = max(1.5, 3 * size / _SIZE)
    for pair in drawn.bonds:
        for i, j in (pair, pair[::-1]):
            # Each half ends below its own atom.
            (x, y, depth), (mx, my) = placed[i], (placed[i, :2] + placed[j, :2]) / 2
            shapes.append(
                (
                    float(depth) - 1e-3,
                    f"<line x1='{x:.1f}' y1='{y:.1f}' x2='{mx:.1f}' y2='{my:.1f}' "
                    f"stroke='{colour_of(drawn.species[i])}' stroke-width='{thick:.1f}'/>",
                )
            )
    for element, (x, y, depth) in zip(drawn.species, placed.tolist(), strict=True):
        ball = max(2.5 * size / _SIZE, _BALL * radius_of(element) * scale)
        shapes.append(
            (
                depth,
                f"<circle cx='{x:.1f}' cy='{y:.1f}' r='{ball:.1f}' fill='{colour_of(element)}' "
                f"stroke='#444' stroke-width='0.8'><title>{escape(element)}</title></circle>",
            )
        )
    return shapes


def _legend(
    species: tuple[str, ...], margin: float, height: float, size: float
) -> tuple[str, float]:
    parts, x, y = [], margin + 6, height + 10
    for element in dict.fromkeys(species):
        if x > size - 30:
            x, y = margin + 6, y + 18
        parts.append(
            f"<circle cx='{x:.0f}' cy='{y:.0f}' r='5' fill='{colour_of(element)}' stroke='#444' "
            f"stroke-width='0.8'/><text x='{x + 9:.0f}' y='{y + 4:.0f}' font-size='12' "
            f"font-family='sans-serif' fill='currentColor'>{escape(element)}</text>"
        )
        x += 40
    return "".join(parts), y + 12
