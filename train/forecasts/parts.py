"""Parts of test materials: by percentile of the distance, and by crystal system."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

#: Groups of test materials by percentile of the distance; the last is beyond all.
PERCENTILES = (0, 50, 75, 90, 100)
FEWEST_MATERIALS = 20


def parts_of(
    percentile: npt.NDArray[np.float64], systems: Sequence[str]
) -> dict[str, npt.NDArray[np.bool_]]:
    """All materials, and those of each percentile and crystal system that are not too few.

    Parameters
    ----------
    percentile : ndarray, shape (n,), float64
        Of the distance to the training materials; NaN for models that read no vectors.
    systems : sequence of str
        Crystal systems.

    Returns
    -------
    dict of str to ndarray, shape (n,), bool
        Which rows are of each part.
    """
    named, at = np.array(systems), percentile
    parts: dict[str, npt.NDArray[np.bool_]] = {}
    for low, high in pairwise(PERCENTILES):
        parts[f"percentile {low} to {high}"] = (at >= low) & (at < high)
    parts[f"percentile {PERCENTILES[-1]}"] = at >= PERCENTILES[-1]
    parts |= {str(name): named == name for name in sorted(set(systems))}
    enough = {part: rows for part, rows in parts.items() if rows.sum() >= FEWEST_MATERIALS}
    return {"all": np.ones(len(systems), bool)} | enough
