"""A crystal structure as plain arrays, the form in which it is stored and handed to encoders."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from featurestore.identity import canonical_json, sha256_hex


@dataclass(frozen=True, eq=False)
class Crystal:
    """An ordered periodic structure.

    Parameters
    ----------
    lattice : ndarray, shape (3, 3), float64
        Lattice vectors as rows, in Å.
    species : tuple of str, length n_atoms
        Element symbols in site order.
    frac_coords : ndarray, shape (n_atoms, 3), float64
        Fractional coordinates.
    """

    lattice: npt.NDArray[np.float64]
    species: tuple[str, ...]
    frac_coords: npt.NDArray[np.float64]

    @property
    def n_atoms(self) -> int:
        """Number of sites in the cell."""
        return len(self.species)

    @property
    def volume(self) -> float:
        """Cell volume in Å³."""
        return float(abs(np.linalg.det(self.lattice)))

    @cached_property
    def wrapped_coords(self) -> npt.NDArray[np.float64]:
        """Fractional coordinates moved by whole cells into [0, 1]: shape (n_atoms, 3), float64."""
        return np.asarray(self.frac_coords - np.floor(self.frac_coords))

    @cached_property
    def structure_id(self) -> str:
        """SHA-256 of the lattice, the species and the wrapped coordinates, rounded to 1e-8.

        Site order and orientation belong to the identity: a generated description may depend on
        them. Whole-cell shifts of a site and the sign of zero do not.
        """
        lattice = np.round(self.lattice, 8) + 0.0
        coords = np.round(self.wrapped_coords, 8) % 1.0 + 0.0
        header = canonical_json(list(self.species)).encode("utf-8")
        return sha256_hex(header + lattice.astype("<f8").tobytes() + coords.astype("<f8").tobytes())
