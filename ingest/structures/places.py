"""Sites that share a place, and what they may hold: one species, whole, unless asked to order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ingest.structures.refusals import DisorderError

# How far the occupancy of a place may be from 1: what a program's rounding leaves of it.
OCCUPANCY_TOLERANCE = 1e-6
_BINARY = 1e-12  # 1 - 0.999999 is a little more than 1e-6
_EXCESS = 1e-3  # of thirds and sixths that were rounded


@dataclass(frozen=True, eq=False)
class Place:
    """A point of the cell and what is there.

    Parameters
    ----------
    label : str
        Of its site or sites, for messages.
    occupancies : mapping of str to float
        Share of each element.
    position : ndarray of float64, shape (3,)
        Fractional coordinates.
    tolerance : float
        Å; how far apart two images of it may be and still be one atom, by the digits of the file.
    multiplicity : int, optional
        How many images the file says it has.
    """

    label: str
    occupancies: Mapping[str, float]
    position: npt.NDArray[np.float64]
    tolerance: float
    multiplicity: int | None = None


def species_at(
    label: str, occupancies: Mapping[str, float], nearest_order: bool
) -> tuple[str | None, str]:
    """The one element at a place, and a note where another choice was possible.

    The rule of ``nearest_order``: a place takes its most abundant element, or none if it is more
    often vacant than taken by any; of equals the first in the alphabet, an element before vacancy.

    Raises
    ------
    DisorderError
        If it is partially occupied or shared, and is not to be ordered.
    """
    total = sum(occupancies.values())
    if len(occupancies) == 1 and abs(total - 1) <= OCCUPANCY_TOLERANCE + _BINARY:
        return next(iter(occupancies)), ""
    held = ", ".join(f"{symbol} {amount!r}" for symbol, amount in occupancies.items())
    if total > 1 + _EXCESS:
        raise DisorderError(
            f"more than one atom at one place: site {label} holds {held}, {total:g} in all"
        )
    if not nearest_order or not total:
        raise DisorderError(
            f"partial occupancy: site {label} holds {held} (tolerance {OCCUPANCY_TOLERANCE:g}); "
            "make an ordered structure of it first, for example with pymatgen's "
            "OrderDisorderedStructureTransformation, or pass --ordered nearest"
        )
    chosen, most = min(occupancies.items(), key=lambda pair: (-pair[1], pair[0]))
    symbol = None if 1 - total > most + OCCUPANCY_TOLERANCE else chosen
    return symbol, f"ordered: site {label} holds {held} and is taken as {symbol or 'vacant'}"


def first_of(labels: Iterable[str]) -> str:
    """A few labels and the number of the others, for messages."""
    listed = list(labels)
    more = f" and {len(listed) - 4} more" if len(listed) > 4 else ""
    return f"{', '.join(listed[:4])}{more}"
