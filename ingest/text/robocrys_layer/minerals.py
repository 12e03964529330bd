"""Known minerals matched against prototypes that are reduced once, not once per structure.

robocrys compares a structure with each of its 288 prototypes anonymously, and pymatgen first
reduces both to primitive Niggli cells, every time. Here the prototypes are reduced when the
matcher is made, and those are skipped whose reduced cell has another number of sites or other
multiplicities of its species: pymatgen finds no mapping between such cells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure
from robocrys.condense.fingerprint import get_fingerprint_distance
from robocrys.condense.mineral import MineralMatcher, ReducedAflowPrototypeMatcher

from ingest.text.robocrys_layer.analysis import Analyses

if TYPE_CHECKING:
    import numpy.typing as npt

Multiplicities = tuple[float, ...]


class SharedMineralMatcher(MineralMatcher):
    """The best mineral name of a structure, by the rules of robocrys' ``MineralMatcher``."""

    def __init__(self, analyses: Analyses) -> None:
        super().__init__()
        self._analyses = analyses
        self._names: list[str] = self.mineral_db["mineral"].tolist()
        self._n_elements: npt.NDArray[Any] = self.mineral_db["n_elems"].to_numpy()
        self._fingerprints: list[npt.NDArray[np.float64]] = [
            np.array(fingerprint) for fingerprint in self.mineral_db["fingerprint"]
        ]
        self._reduced = [
            StructureMatcher._get_reduced_structure(Structure.from_sites(prototype))
            for prototype in self.mineral_db["structure"]
        ]
        self._multiplicities = [_multiplicities(reduced) for reduced in self._reduced]

    def get_best_mineral_name(self, structure: Structure) -> dict[str, Any]:
        """The mineral's name, its distance (-1 for a prototype) and whether species match."""
        fingerprint = self._analyses.of(structure).structure_fingerprint
        distance = np.array(
            [get_fingerprint_distance(known, fingerprint) for known in self._fingerprints]
        )
        # The same sort as pandas' sort_values, so that ties fall the same way.
        nearest = distance.argsort(kind="quicksort")
        prototypes = self._matching_prototypes(structure, nearest)
        if prototypes:
            return _mineral(self._names[prototypes[0]])
        close = [int(k) for k in nearest if distance[k] < self.fingerprint_distance_cutoff]
        like = [k for k in close if self._n_elements[k] == structure.n_elems]
        if like:
            return _mineral(self._names[like[0]], distance[like[0]])
        if close:
            return _mineral(self._names[close[0]], distance[close[0]], same_species=False)
        return _mineral(None)

    def _matching_prototypes(
        self, structure: Structure, nearest: npt.NDArray[np.int64]
    ) -> list[int]:
        """Prototypes that map onto the structure at the widest tolerances that leave one."""
        matcher = StructureMatcher(
            ltol=self.initial_ltol,
            stol=self.initial_stol,
            angle_tol=self.initial_angle_tol,
            primitive_cell=True,
        )
        reduced = StructureMatcher._get_reduced_structure(
            Structure.from_sites(ReducedAflowPrototypeMatcher._preprocess_structure(structure))
        )
        multiplicities = _multiplicities(reduced)
        candidates = [int(k) for k in nearest if self._multiplicities[k] == multiplicities]
        matches = self._fitting(matcher, candidates, reduced)
        while len(matches) > 1:
            matcher.ltol *= 0.8
            matcher.stol *= 0.8
            matcher.angle_tol *= 0.8
            matches = self._fitting(matcher, candidates, reduced)
            if matcher.ltol < 0.01:
                break
        return matches

    def _fitting(
        self, matcher: StructureMatcher, candidates: list[int], reduced: Structure
    ) -> list[int]:
        return [
            k
            for k in candidates
            if matcher.fit_anonymous(self._reduced[k], reduced, skip_structure_reduction=True)
        ]


def _multiplicities(structure: Structure) -> Multiplicities:
    return tuple(sorted(structure.composition.values()))


def _mineral(name: str | None, distance: float = -1, same_species: bool = True) -> dict[str, Any]:
    return {"type": name, "distance": distance, "n_species_type_match": same_species}
