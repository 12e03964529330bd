"""From the places of an asymmetric unit and symmetry operations to all atoms of a cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from featurestore.crystal import Crystal
from ingest.structures.checks import LARGEST_CELL
from ingest.structures.places import Place, first_of, species_at
from ingest.structures.refusals import LimitError
from ingest.structures.space_groups import Operations

_NOTED_SHIFT = 1e-4  # Å
_SAME = 1e-3  # Å; images of a point on its special position, after rounding errors


@dataclass(frozen=True, eq=False)
class Expanded:
    """All atoms of a cell.

    Parameters
    ----------
    crystal : Crystal
    notes : tuple of str
        On points that were moved to their special position, repeated and ordered ones.
    multiplicities : tuple of str
        What differs from the multiplicities that the file states, in words.
    ordered : bool
        Whether a disordered place was ordered.
    repeats : bool
        Whether sites were left out that are symmetry images of others.
    """

    crystal: Crystal
    notes: tuple[str, ...]
    multiplicities: tuple[str, ...]
    ordered: bool
    repeats: bool


def expand(
    places: Sequence[Place],
    operations: Operations,
    lattice: npt.NDArray[np.float64],
    nearest_order: bool = False,
) -> Expanded:
    """Apply all operations to all places; images of one place that agree are one atom.

    Images agree if they are nearer than the place's tolerance. They are then moved to their mean,
    which is the special position that rounded coordinates stand for.

    Raises
    ------
    DisorderError
        If a place is partially occupied or shared and ``nearest_order`` is not set.
    LimitError
        If the cell has more than `LARGEST_CELL` atoms.
    """
    species: list[str] = []
    points: list[npt.NDArray[np.float64]] = []
    notes: dict[str, None] = {}
    wrong: list[str] = []
    moved: dict[str, float] = {}
    repeated: list[str] = []
    ordered = False
    for place in places:
        symbol, note = species_at(place.label, place.occupancies, nearest_order)
        if note:
            notes[note] = None
            ordered = True
        if symbol is None:
            continue
        images, shift = _images(place, operations, lattice)
        if shift > _NOTED_SHIFT:
            moved[place.label] = shift
        if _is_there(place, symbol, species, points, lattice):
            repeated.append(place.label)
            continue
        if place.multiplicity is not None and place.multiplicity != len(images):
            wrong.append(f"{place.label} {place.multiplicity}, has {len(images)}")
        species += [symbol] * len(images)
        points += list(images)
        if len(species) > LARGEST_CELL:
            raise LimitError(
                f"the cell has more than {LARGEST_CELL:,} atoms, the most that are analysed"
            )
    if moved:
        notes[
            f"special positions: {first_of(moved)} rounded in the file; moved by up to "
            f"{max(moved.values()):.4f} Å to where symmetry puts them"
        ] = None
    if repeated:
        notes[f"sites: {first_of(repeated)} repeat symmetry images of others and are left out"] = (
            None
        )
    coords = np.array(points, dtype=float).reshape(-1, 3)
    return Expanded(
        crystal=Crystal(lattice, tuple(species), coords),
        notes=tuple(notes),
        multiplicities=tuple(wrong),
        ordered=ordered,
        repeats=bool(repeated),
    )


def _images(
    place: Place, operations: Operations, lattice: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], float]:
    """The distinct images of a place, and how far (Å) it was moved to its special position."""
    shift = 0.0
    position = place.position
    images = operations.rotations @ position + operations.translations
    same = _apart(images, position, lattice) < place.tolerance
    if same.sum() > 1:
        difference = images[same] - position
        difference -= np.round(difference)
        mean = difference.mean(axis=0)
        shift = float(np.linalg.norm(mean @ lattice))
        images = operations.rotations @ (position + mean) + operations.translations
        distances = _apart(images[:, None], images[None, :], lattice)
        first = np.argmax(distances < _SAME, axis=1)
        images = images[np.unique(first)]
    return images % 1.0, shift


def _apart(
    one: npt.NDArray[np.float64],
    other: npt.NDArray[np.float64],
    lattice: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    difference = one - other
    difference -= np.round(difference)
    return np.asarray(np.linalg.norm(difference @ lattice, axis=-1))


def _is_there(
    place: Place,
    symbol: str,
    species: Sequence[str],
    points: Sequence[npt.NDArray[np.float64]],
    lattice: npt.NDArray[np.float64],
) -> bool:
    same = [point for point, kind in zip(points, species, strict=True) if kind == symbol]
    if not same:
        return False
    return bool((_apart(np.array(same), place.position, lattice) < place.tolerance).any())
