"""What several steps ask about the same cell, found once: neighbours and site fingerprints.

The library finds the neighbours of every site three times or more for one description: for the
bond graph, for the sites' geometries, and for each comparison with known minerals.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np
from matminer.featurizers.site import CrystalNNFingerprint
from pymatgen.core.local_env import CrystalNN

from ingest.text.robocrys_layer.exact import Array
from ingest.text.robocrys_layer.graph import BondGraph
from ingest.text.robocrys_layer.neighbours import Neighbours, neighbours
from ingest.text.robocrys_layer.order_parameters import FORMULAS, Geometry

if TYPE_CHECKING:
    from pymatgen.analysis.graphs import StructureGraph
    from pymatgen.core import Structure


class CellAnalysis:
    """Neighbours and fingerprints of the sites of one structure, each found when first asked."""

    def __init__(self, structure: Structure) -> None:
        self._structure = structure.copy()

    @cached_property
    def neighbours(self) -> list[Neighbours]:
        """CrystalNN's neighbours of each site."""
        return [neighbours(self._structure, n) for n in range(len(self._structure))]

    @cached_property
    def site_fingerprints(self) -> Array:
        """Order parameters weighted by coordination likelihood, shape (n_sites, n_parameters)."""
        return np.array(
            [
                _site_fingerprint(found, self._structure[n].coords)
                for n, found in enumerate(self.neighbours)
            ]
        )

    @cached_property
    def structure_fingerprint(self) -> Array:
        """Mean and standard deviation of each site parameter, alternating."""
        columns = np.ascontiguousarray(self.site_fingerprints.T)
        mean = columns.mean(axis=1)
        deviation = columns.std(axis=1) if columns.shape[1] > 1 else np.zeros(len(columns))
        return np.stack([mean, deviation], axis=1).ravel()


class Analyses:
    """The last few cells' analyses, looked up by exact content.

    One description analyses at most two cells: the conventional one, and the one in which
    molecules stand for points.
    """

    def __init__(self, size: int = 4) -> None:
        self._size = size
        self._kept: OrderedDict[bytes, CellAnalysis] = OrderedDict()

    def of(self, structure: Structure) -> CellAnalysis:
        """The analysis of ``structure``; the same object while the content is the same."""
        key = b"|".join(
            [
                structure.lattice.matrix.tobytes(),
                structure.frac_coords.tobytes(),
                structure.cart_coords.tobytes(),
                " ".join(map(str, structure.species)).encode(),
            ]
        )
        if key not in self._kept:
            self._kept[key] = CellAnalysis(structure)
            if len(self._kept) > self._size:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


class SharedCrystalNN(CrystalNN):
    """CrystalNN whose neighbours come from the shared analysis of the cell."""

    def __init__(self, analyses: Analyses) -> None:
        super().__init__()
        self._analyses = analyses

    def get_nn_info(self, structure: Structure, n: int) -> list[dict[str, object]]:
        """The bonded neighbours of site ``n`` under the likeliest coordination number."""
        found = self._analyses.of(structure).neighbours[n]
        number = max(found.coordination, key=found.coordination.__getitem__)
        return [
            {"site_index": found.index[k], "image": found.image[k], "weight": 1}
            for k in found.members[number]
        ]

    def get_bonded_structure(self, structure: Structure) -> StructureGraph:  # type: ignore[override]
        """The bond graph, which remembers the sites connected to a site."""
        return BondGraph.from_local_env_strategy(structure, self, weights=True)


@cache
def _plan() -> CrystalNNFingerprint:
    return CrystalNNFingerprint.from_preset("ops", cation_anion=False)


def fingerprint_labels() -> list[str]:
    """The name of each site parameter, as matminer gives them."""
    return _plan().feature_labels()


def _site_fingerprint(found: Neighbours, centre: Array) -> list[float]:
    values: list[float] = []
    for number, parameters in _plan().ops.items():
        likelihood = found.coordination.get(number, 0)
        geometry: Geometry | None = None
        for parameter in parameters:
            if parameter == "wt" or likelihood == 0:
                values.append(likelihood)
                continue
            if geometry is None:
                geometry = Geometry(found.coords[found.members[number]] - centre)
            values.append(likelihood * (_order_parameter(parameter, geometry) or 0))
    return values


def _order_parameter(parameter: object, geometry: Geometry) -> float | None:
    name = parameter._types[0]  # type: ignore[attr-defined]
    if name == "sgl_bd":
        return 1.0
    if name in FORMULAS:
        return FORMULAS[name](geometry, parameter._params[0])  # type: ignore[attr-defined]
    bond_orientation = getattr(parameter, f"get_{name}")
    return bond_orientation(*geometry.polar_angles())
