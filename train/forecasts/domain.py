"""How far materials are from what a model was trained on: distances, and what it never saw.

The distance of a material is its mean Euclidean distance to the five nearest training materials,
columns being standardised by the training materials' (the latent distance of Janet et al., Chem.
Sci. 2019, 10, 7913). It is told in units of the training materials' own usual distance, and as a
percentile of these: each of them is left out and measured to the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from featurestore.quoting import SQL, literal
from featurestore.search.exact import ExactSearch
from featurestore.session import Session

Floats = npt.NDArray[np.float64]

NEIGHBOURS = 5
#: Training materials that are left out in turn; of more, a random choice.
LEFT_OUT = 2000
#: What of a material is compared with the training materials' range, as DuckDB computes it.
RANGES = ("n_atoms", "volume_per_atom")
_IDS_A_QUERY = 5000


@dataclass(frozen=True)
class Traits:
    """What of each material is compared with the training materials, apart from its vectors.

    Parameters
    ----------
    formulas, prototypes : tuple of str
        Of each material; the prototype is that of the composition, as ``AB2``.
    elements : tuple of frozenset of str
        Of each material.
    numbers : dict of str to ndarray, shape (n,), float64
        By the names of `RANGES`; volumes in Å³.
    """

    formulas: tuple[str, ...]
    prototypes: tuple[str, ...]
    elements: tuple[frozenset[str], ...]
    numbers: Mapping[str, Floats]

    def some(self, rows: npt.NDArray[Any]) -> Traits:
        """Those of some of the materials, by their row numbers."""
        return Traits(
            tuple(self.formulas[row] for row in rows),
            tuple(self.prototypes[row] for row in rows),
            tuple(self.elements[row] for row in rows),
            {name: values[rows] for name, values in self.numbers.items()},
        )


def traits_of(session: Session, material_ids: Sequence[str]) -> Traits:
    """The traits of stored materials, in the order of the ids."""
    rows: dict[str, dict[str, Any]] = {}
    for first in range(0, len(material_ids), _IDS_A_QUERY):
        ids = SQL(", ".join(literal(one) for one in material_ids[first : first + _IDS_A_QUERY]))
        found = session.query(
            "SELECT material_id, formula, prototype, list_distinct(species) AS elements, n_atoms, "
            f"volume / n_atoms AS volume_per_atom FROM materials WHERE material_id IN ({ids})"
        )
        rows |= {row["material_id"]: row for row in found.to_pylist()}
    ordered = [rows[one] for one in material_ids]
    return Traits(
        tuple(row["formula"] for row in ordered),
        tuple(row["prototype"] for row in ordered),
        tuple(frozenset(row["elements"]) for row in ordered),
        {name: np.array([row[name] for row in ordered], dtype=np.float64) for name in RANGES},
    )


@dataclass(frozen=True)
class Distances:
    """How far materials are from the training materials.

    Parameters
    ----------
    ratio : ndarray, shape (n,), float64
        Over all features, each counting the same; 1 is the median of the training materials.
    percentile : ndarray, shape (n,), float64
        Share of the training materials that are nearer to the others, from 0 to 100.
    of_features : dict of str to ndarray, shape (n,), float64
        The percentile in each feature alone.
    nearest : ndarray, shape (n, k), int64
        Row numbers of the nearest training materials, nearest first.
    """

    ratio: Floats
    percentile: Floats
    of_features: Mapping[str, Floats]
    nearest: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Domain:
    """The training materials, as far as distances and what is unseen need them.

    Parameters
    ----------
    material_ids : tuple of str
        Of the training fold.
    targets : ndarray, shape (n,), float64
        Theirs.
    features : ndarray, shape (n, width), float32
        Theirs; a width of 0 for a model that reads no vectors.
    parts : tuple of (str, int, int)
        Name, start and stop of each feature's columns.
    elements, prototypes : frozenset of str
        All that occur.
    ranges : dict of str to (float, float)
        Least and greatest of each of `RANGES`.
    """

    material_ids: tuple[str, ...]
    targets: Floats = field(repr=False)
    features: npt.NDArray[np.float32] = field(repr=False)
    parts: tuple[tuple[str, int, int], ...]
    elements: frozenset[str] = field(repr=False)
    prototypes: frozenset[str] = field(repr=False)
    ranges: Mapping[str, tuple[float, float]]

    @classmethod
    def of(
        cls,
        material_ids: Sequence[str],
        targets: Floats,
        features: npt.NDArray[np.float32],
        parts: Sequence[tuple[str, int, int]],
        traits: Traits,
    ) -> Domain:
        """The domain of training materials with these features and traits."""
        return cls(
            material_ids=tuple(material_ids),
            targets=targets,
            features=features,
            parts=tuple(parts),
            elements=frozenset().union(*traits.elements),
            prototypes=frozenset(traits.prototypes),
            ranges={
                name: (float(values.min()), float(values.max()))
                for name, values in traits.numbers.items()
                if len(values)
            },
        )

    @property
    def has_distances(self) -> bool:
        """Whether there are vectors, and enough training materials, to measure by."""
        return self.features.shape[1] > 0 and len(self.material_ids) > 1

    @cached_property
    def _scaling(self) -> tuple[Floats, Floats]:
        mean = self.features.mean(axis=0, dtype=np.float64)
        spread = self.features.std(axis=0, dtype=np.float64)
        return mean, np.where(spread > 0, spread, 1.0)

    @cached_property
    def _spaces(self) -> dict[str, _Space]:
        """Each feature's space, and last, under "", the one of all together."""
        scaled = self._scaled(self.features)
        spaces = {name: _Space(scaled[:, a:b]) for name, a, b in self.parts}
        if len(self.parts) == 1:
            return spaces | {"": spaces[self.parts[0][0]]}
        return spaces | {"": _Space(self._weighted(scaled, spaces))}

    def _scaled(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        mean, spread = self._scaling
        return ((features - mean) / spread).astype(np.float32)

    def _weighted(
        self, scaled: npt.NDArray[np.float32], spaces: Mapping[str, _Space]
    ) -> npt.NDArray[np.float32]:
        """The columns in units of their feature's usual distance, so that each counts the same."""
        weighted = scaled.copy()
        for name, a, b in self.parts:
            weighted[:, a:b] /= np.float32(spaces[name].usual)
        return weighted

    def rows_of(self, material_ids: Sequence[str]) -> npt.NDArray[np.int64]:
        """The row number of each material; -1 for one that is no training material."""
        places = {name: row for row, name in enumerate(self.material_ids)}
        return np.array([places.get(one, -1) for one in material_ids], dtype=np.int64)

    def distances(
        self, features: npt.NDArray[np.float32], material_ids: Sequence[str]
    ) -> Distances:
        """Distances of materials to the training materials, each to others than itself.

        Parameters
        ----------
        features : ndarray, shape (n, width), float32
            Laid out as the training materials'.
        material_ids : sequence of str, length n
            Whose features these are.
        """
        scaled, own = self._scaled(features), self.rows_of(material_ids)
        of_features = {
            name: self._spaces[name].percentiles(
                self._spaces[name].measured(scaled[:, a:b], own)[0]
            )
            for name, a, b in self.parts
        }
        joint = self._spaces[""]
        weighted = scaled if len(self.parts) == 1 else self._weighted(scaled, self._spaces)
        found, nearest = joint.measured(weighted, own)
        return Distances(found / joint.usual, joint.percentiles(found), of_features, nearest)

    def unseen(self, traits: Traits) -> list[tuple[str, ...]]:
        """What of each material no training material has, in words; nothing for most."""
        found = []
        for row, (elements, prototype) in enumerate(
            zip(traits.elements, traits.prototypes, strict=True)
        ):
            words = [f"element {one}" for one in sorted(elements - self.elements)]
            if prototype not in self.prototypes:
                words.append(f"prototype {prototype}")
            for name, (low, high) in self.ranges.items():
                value = traits.numbers[name][row]
                if not low <= value <= high:
                    words.append(f"{name} {value:.4g}, not {low:.4g} to {high:.4g}")
            found.append(tuple(words))
        return found


class _Space:
    """Distances to rows, and how far these are from each other.

    Parameters
    ----------
    rows : ndarray, shape (n, width), float32
        At least two.
    """

    def __init__(self, rows: npt.NDArray[np.float32]) -> None:
        self._search = ExactSearch(np.ascontiguousarray(rows))
        self._k = min(NEIGHBOURS, len(rows) - 1)
        chosen = np.arange(len(rows))
        if len(rows) > LEFT_OUT:
            chosen = np.sort(np.random.default_rng(0).permutation(len(rows))[:LEFT_OUT])
        own = self._search.nearest(self._search.vectors[chosen], self._k, "l2", without=chosen)
        self._own = np.sort(own.distances.mean(axis=1))
        median = float(np.median(self._own))
        #: The median of the rows' own distances; 1 where that is nothing.
        self.usual = median if median > 0 else 1.0

    def measured(
        self, rows: npt.NDArray[np.float32], own: npt.NDArray[np.int64]
    ) -> tuple[Floats, npt.NDArray[np.int64]]:
        """Distance of each row, and the nearest of this space's rows; ``own`` rows are left out."""
        found = self._search.nearest(np.ascontiguousarray(rows), self._k, "l2", without=own)
        return found.distances.mean(axis=1), found.rows

    def percentiles(self, distances: Floats) -> Floats:
        """How many per cent of this space's rows have a smaller distance of their own."""
        below = np.searchsorted(self._own, distances, side="left")
        return np.asarray(100.0 * below / len(self._own))
