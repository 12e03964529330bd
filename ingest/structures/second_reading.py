"""A second library's reading of the same file, compared with the first."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from featurestore.crystal import Crystal
from ingest.structures.checks import check_structure
from ingest.structures.readers.in_words import in_words
from ingest.structures.refusals import InvalidStructureError, ReadersDisagreeError

if TYPE_CHECKING:
    from pymatgen.core import Structure

SAME_VOLUME = 1e-3  # relative
SAME_PLACE = 0.05  # Å


def compared(
    ours: Crystal,
    library: str,
    read: Callable[[], Crystal],
    agrees: Callable[[Crystal], bool] = lambda crystal: True,
) -> tuple[Crystal, tuple[str, ...]]:
    """The structure that two readings agree on: the library's, whose site order is widespread.

    Where they differ, ours stands with a note if the library's is not what the file states of its
    own atoms, if it is impossible, or if the library itself warned that it did not understand the
    symmetry.

    Parameters
    ----------
    library : str
        Its name, for messages.
    read : callable
        Its reading; whatever it raises is what it thinks of the file.
    agrees : callable
        Whether a structure has the formula and Z that the file states; ours does.

    Raises
    ------
    ReadersDisagreeError
        If they differ and nothing tells which is right.
    """
    if not (np.isfinite(ours.lattice).all() and np.isfinite(ours.frac_coords).all()):
        return ours, ()  # refused by `check_structure`
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            theirs = read()
        except Exception as error:
            return ours, (f"second reading: {library} cannot read it: {in_words(error)}",)
    difference = differ(ours, theirs)
    if not difference:
        return theirs, ()
    reason = _why_wrong(theirs, agrees, [str(warning.message) for warning in warned])
    if not reason:
        raise ReadersDisagreeError(
            f"{library} makes {difference} of it, and nothing in the file says which is right"
        )
    return ours, (f"second reading: {library} makes {difference} of it, {reason}",)


def _why_wrong(theirs: Crystal, agrees: Callable[[Crystal], bool], warned: Sequence[str]) -> str:
    if not agrees(theirs):
        return "which is not what the file's formula and Z say"
    try:
        check_structure(theirs)
    except InvalidStructureError as error:
        return f"which is impossible: {error}"
    if any("Defaulting to P1" in warning for warning in warned):
        return "having found no space group"
    return ""


def differ(ours: Crystal, theirs: Crystal) -> str:
    """What the second crystal is, in words, if it is another than the first; else empty."""
    counts = Counter(theirs.species)
    if counts != Counter(ours.species):
        whole = " ".join(f"{symbol}{counts[symbol]}" for symbol in sorted(counts))
        return f"{theirs.n_atoms} atoms a cell ({whole}) where we find {ours.n_atoms}"
    if abs(theirs.volume - ours.volume) > SAME_VOLUME * ours.volume:
        return f"a cell of {theirs.volume:.2f} Å³ where we find {ours.volume:.2f} Å³"
    if not _same_places(ours, theirs):
        return "a cell with atoms at other places"
    return ""


def _same_places(ours: Crystal, theirs: Crystal) -> bool:
    from scipy.spatial import cKDTree

    # In fractional coordinates, scaled by the shortest edge; candidates are measured in Å.
    for symbol in set(ours.species):
        there = theirs.wrapped_coords[[kind == symbol for kind in theirs.species]] % 1.0
        here = ours.wrapped_coords[[kind == symbol for kind in ours.species]] % 1.0
        _, nearest = cKDTree(there, boxsize=1.0).query(x=here)
        apart = here - there[nearest]
        apart -= np.round(apart)
        if np.linalg.norm(apart @ ours.lattice, axis=1).max() > SAME_PLACE:
            return False
        if len(set(nearest.tolist())) != len(here):
            return False
    return True


def crystal_from_pymatgen(structure: Structure) -> Crystal:
    """A pymatgen structure without its oxidation states and isotopes.

    Raises
    ------
    DisorderError
        If a site is partially occupied or shared by several species.
    """
    from ingest.structures.elements import ISOTOPES
    from ingest.structures.places import species_at

    species = []
    for number, site in enumerate(structure):
        amounts: Counter[str] = Counter()
        for kind, amount in site.species.items():
            symbol = str(getattr(kind, "symbol", kind))
            amounts[ISOTOPES.get(symbol, symbol)] += amount
        symbol, _ = species_at(str(number), amounts, nearest_order=False)  # type: ignore[assignment]
        species.append(symbol)
    return Crystal(
        np.array(structure.lattice.matrix, dtype=np.float64),
        tuple(species),
        np.array(structure.frac_coords, dtype=np.float64).reshape(-1, 3),
    )
