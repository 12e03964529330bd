"""Made-up crystals that every encoder and text generator should take, and one that none can."""

from __future__ import annotations

import numpy as np

from featurestore.crystal import Crystal

_FACE_CENTRED = np.array([[0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]])
_CORNERS = ((0.0, 0.0, 0.0), (0.5, 0.5, 0.5))


def made_up_crystals(scale: float = 1.0) -> list[Crystal]:
    """Rock salt, caesium chloride, zincblende, copper and a perovskite: one to five atoms a cell.

    Parameters
    ----------
    scale : float
        Of the lattice: crystals of another scale have other ids.
    """
    return [
        _crystal(5.64 * _FACE_CENTRED * scale, ("Na", "Cl"), _CORNERS),
        _crystal(4.12 * np.eye(3) * scale, ("Cs", "Cl"), _CORNERS),
        _crystal(5.66 * _FACE_CENTRED * scale, ("Al", "As"), ((0, 0, 0), (0.25, 0.25, 0.25))),
        _crystal(3.61 * _FACE_CENTRED * scale, ("Cu",), ((0, 0, 0),)),
        _crystal(
            3.91 * np.eye(3) * scale,
            ("Sr", "Ti", "O", "O", "O"),
            ((0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)),
        ),
    ]


def impossible_crystal() -> Crystal:
    """A crystal with an element that does not exist."""
    return _crystal(5.64 * _FACE_CENTRED, ("Na", "Qq"), _CORNERS)


def _crystal(
    lattice: np.ndarray, species: tuple[str, ...], coords: tuple[tuple[float, ...], ...]
) -> Crystal:
    return Crystal(lattice, species, np.array(coords, dtype=float))
