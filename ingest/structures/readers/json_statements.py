"""What a JSON document says of the structure it holds, compared with its atoms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from featurestore.crystal import Crystal
from ingest.structures.elements import ELEMENTS
from ingest.structures.refusals import CompositionError
from ingest.structures.stated import compare, parse_formula

_FORMULAS = ("formula_pretty", "pretty_formula", "full_formula", "reduced_formula", "formula")
_COMPOSITIONS = ("composition", "composition_reduced", "unit_cell_formula")
_SITES = ("nsites", "nat", "n_atoms")
_SAME_VOLUME = 0.01  # relative


def compared_with_document(
    document: Mapping[str, Any], crystal: Crystal, notes: Sequence[str]
) -> tuple[str, ...]:
    """Notes on a number of sites and a volume (Å³) that are not the structure's.

    Parameters
    ----------
    notes : sequence of str
        On the structure; one that was ordered is not what the document is about.

    Raises
    ------
    CompositionError
        If the document states the formula of another crystal.
    """
    if any(note.startswith("ordered:") for note in notes):
        return ()
    for key in (*_FORMULAS, *_COMPOSITIONS):
        differs = compare(crystal.species, _formula(document.get(key)), None).formula
        if differs:
            raise CompositionError(f"{differs} (its {key!r})")
    found = []
    stated = (_number(document.get(key)) for key in _SITES)
    sites = next((one for one in stated if one is not None), None)
    if sites is not None and sites != crystal.n_atoms:
        found.append(
            f"formula units: the document says {sites:g} sites, its structure has {crystal.n_atoms}"
        )
    volume = _number(document.get("volume"))
    if volume is not None and abs(volume - crystal.volume) > _SAME_VOLUME * crystal.volume:
        found.append(
            f"cell: the document says its volume is {volume:g} Å³, its lattice makes "
            f"{crystal.volume:.4g}"
        )
    return tuple(found)


def _formula(given: Any) -> Mapping[str, float] | None:
    if isinstance(given, str):
        return parse_formula(given)
    if isinstance(given, dict) and given and given.keys() <= ELEMENTS:
        amounts = {symbol: _number(amount) or 0.0 for symbol, amount in given.items()}
        return amounts if min(amounts.values()) > 0 else None
    return None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # a whole number of hundreds of digits
        return None
    return number if math.isfinite(number) else None
