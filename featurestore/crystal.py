"""A crystal structure as plain arrays, the form in which it is stored and handed to encoders."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from featurestore.identity import canonical_json, sha256_hex
from featurestore.output.display import Showing, Shown


@dataclass(frozen=True, eq=False, repr=False)
class Crystal(Shown):
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

    @property
    def formula(self) -> str:
        """The atoms in the cell, in order of the sites: ``Na4Cl4``."""
        counts = Counter(self.species)
        return "".join(f"{element}{n if n > 1 else ''}" for element, n in counts.items())

    @property
    def cell(self) -> tuple[float, float, float, float, float, float]:
        """a, b and c in Å; alpha, beta and gamma in degrees."""
        a, b, c = (float(length) for length in np.linalg.norm(self.lattice, axis=1))
        products = self.lattice @ self.lattice.T
        cosines = (products[1, 2] / (b * c), products[0, 2] / (a * c), products[0, 1] / (a * b))
        alpha, beta, gamma = (math.degrees(math.acos(max(-1.0, min(1.0, x)))) for x in cosines)
        return a, b, c, alpha, beta, gamma

    def showing(self) -> Showing:
        """The cell, with a picture in a notebook."""
        from featurestore.output.labels import formula_text

        a, b, c, alpha, beta, gamma = self.cell
        return Showing(
            f"Crystal {formula_text(self.formula)}, {self.n_atoms} "
            f"atom{'s' if self.n_atoms > 1 else ''}",
            {
                "a, b, c": f"{a:.4f}, {b:.4f}, {c:.4f} Å",
                "α, β, γ": f"{alpha:.2f}, {beta:.2f}, {gamma:.2f}°",
                "volume": f"{self.volume:.3f} Å³",
            },
            picture=self._picture,
        )

    def _picture(self) -> str:
        from featurestore.output.structure_viewer import structure_html

        return structure_html(self)

    def to_ase(self) -> Any:
        """The structure as ``ase.Atoms``, which notebooks' viewers take: `nglview.show_ase`."""
        from ase import Atoms

        return Atoms(self.species, cell=self.lattice, scaled_positions=self.frac_coords, pbc=True)

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
