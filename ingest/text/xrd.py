"""Angles of the powder X-ray diffraction peaks that jarvis-tools' ``XRD().simulate`` reports.

jarvis-tools visits the Miller indices up to 5 one by one, after a search for the largest index
that leaves it at 5; here they are arrays. Reflections count as one peak, at the angle of the first,
where their angles differ by less than 1e-5°, in the library's order of Miller indices.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from jarvis.core.atoms import Atoms

Array = npt.NDArray[np.float64]

WAVELENGTH = 1.54184
MAX_INDEX = 5
ANGLE_TOLERANCE = 1e-5
#: Peaks of less than this share of the summed intensity, in per cent, are not reported.
MIN_INTENSITY = 0.5

# Memory for the phases of a block of reflections: 2**20 complex numbers are 16 MB.
_BLOCK = 2**20


def peak_angles(atoms: Atoms) -> Array:
    """The angles 2θ in degrees of the peaks, ascending; Cu Kα radiation, 1.54184 Å.

    Raises
    ------
    KeyError
        For an element without scattering parameters.
    """
    miller = _miller_indices()
    reciprocal = atoms.lattice.reciprocal_lattice_crystallographic().matrix
    spacing = 1 / np.linalg.norm(np.dot(miller, reciprocal), axis=1)
    visible = spacing > WAVELENGTH / np.sin(np.pi / 2) / 2
    miller, spacing = miller[visible], spacing[visible]
    theta = np.arcsin(WAVELENGTH / 2 / spacing)
    polarisation = (1 + np.cos(2 * theta) ** 2) / (np.sin(theta) ** 2 * np.cos(theta))
    intensity = _structure_factors(atoms, miller, (1 / 2 / spacing) ** 2) * polarisation
    angles = np.degrees(2 * theta)
    first = _first_of_peak(angles)
    peaks = np.unique(first)
    total = np.bincount(first, intensity, minlength=len(angles))[peaks]
    ascending = np.argsort(angles[peaks])
    peaks, total = peaks[ascending], total[ascending]
    return angles[peaks][total * 100 / np.sum(total) > MIN_INTENSITY]


@cache
def _miller_indices() -> npt.NDArray[np.int64]:
    """All (h, k, l) but (0, 0, 0) in the library's order; the last is minus the first."""
    indices = np.arange(-MAX_INDEX, MAX_INDEX + 1)
    grid = np.array(np.meshgrid(indices, indices, indices)).transpose().reshape(-1, 3)
    return grid[grid.any(axis=1)]


@cache
def _scattering_parameters() -> dict[str, Array]:
    path = files("jarvis.analysis.diffraction") / "atomic_scattering_params.json"
    parameters = json.loads(path.read_text(encoding="utf-8"))
    return {element: np.array(rows) for element, rows in parameters.items()}


def _structure_factors(atoms: Atoms, miller: npt.NDArray[np.int64], s2: Array) -> Array:
    """|F|² of each reflection; ``s2`` is (1/2d)² in Å⁻²."""
    from jarvis.core.specie import Specie

    elements = list(dict.fromkeys(atoms.elements))
    # Deuterium scatters as hydrogen.
    parameters = [_scattering_parameters()["H" if el == "D" else el] for el in elements]
    kind = np.array([elements.index(el) for el in atoms.elements])
    # |F(-h)| = |F(h)|, and the reflections are arranged symmetrically: half of them do.
    half = len(miller) // 2
    factor = np.array(
        [
            Specie("H" if el == "D" else el).Z
            - 41.78214
            * s2[:half]
            * np.sum(rows[:, 0] * np.exp(-rows[:, 1] * s2[:half, None]), axis=1)
            for el, rows in zip(elements, parameters, strict=True)
        ]
    )
    squared = np.empty(half)
    step = max(1, _BLOCK // len(kind))
    for start in range(0, half, step):
        block = slice(start, min(start + step, half))
        phase = 2j * np.pi * np.dot(miller[block], atoms.frac_coords.T)
        amplitude = np.sum(factor[kind, block].T * np.exp(phase), axis=1)
        squared[block] = (amplitude * amplitude.conjugate()).real
    return np.concatenate([squared, squared[::-1]])


def _first_of_peak(angles: Array) -> npt.NDArray[np.int64]:
    """For each reflection the first one that is within the tolerance and started a peak."""
    order = np.argsort(angles, kind="stable")
    starts = np.concatenate([[0], np.flatnonzero(np.diff(angles[order]) >= ANGLE_TOLERANCE) + 1])
    sizes = np.diff(np.append(starts, len(angles)))
    first = np.empty(len(angles), dtype=np.int64)
    first[order] = np.repeat(np.minimum.reduceat(order, starts), sizes)
    widths = angles[order[starts + sizes - 1]] - angles[order[starts]]
    for k in np.flatnonzero(widths >= ANGLE_TOLERANCE).tolist():
        # A chain of near angles longer than the tolerance: only the order decides.
        group = order[starts[k] : starts[k] + sizes[k]]
        begun: list[int] = []
        for reflection in sorted(group.tolist()):
            near = [b for b in begun if abs(angles[b] - angles[reflection]) < ANGLE_TOLERANCE]
            first[reflection] = near[0] if near else reflection
            if not near:
                begun.append(reflection)
    return first
