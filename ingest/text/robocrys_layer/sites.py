"""robocrys' site analysis with each site's geometry, bonds and next neighbours found once.

The library's ``SiteAnalyzer`` asks for the next nearest neighbours of a site up to four times, and
compares each pair of sites by sorting their neighbours anew.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.core.periodic_table import get_el_sp
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer
from robocrys.condense.site import SiteAnalyzer, geometries_match

from ingest.text.robocrys_layer.analysis import Analyses, fingerprint_labels
from ingest.text.robocrys_layer.exact import norm

if TYPE_CHECKING:
    from ingest.text.robocrys_layer.graph import BondGraph, Place

Neighbour = dict[str, Any]

_CONNECTIVITY = {1: "corner", 2: "edge"}


class SharedSiteAnalyzer(SiteAnalyzer):
    """Sites, bonds and angles of a bond graph, by the rules of robocrys' ``SiteAnalyzer``."""

    def __init__(self, bonded_structure: BondGraph, symprec: float, analyses: Analyses) -> None:
        self.bonded_structure = bonded_structure
        self.use_iupac_formula = True
        self.minimum_geometry_op = 0.4
        labels = fingerprint_labels()
        structure = bonded_structure.structure
        self.site_fingerprints = [
            dict(zip(labels, values, strict=True))
            for values in analyses.of(structure).site_fingerprints
        ]
        self._geometries: dict[int, dict[str, Any]] = {}
        self._next: dict[int, list[Neighbour]] = {}
        symmetry = SpacegroupAnalyzer(structure, symprec=symprec).get_symmetry_dataset()
        self.equivalent_sites = self._calculate_equivalent_sites()
        self.symmetry_labels = self._calculate_symmetry_labels(symmetry.equivalent_atoms.tolist())

    def get_site_geometry(self, site_index: int) -> dict[str, Any]:
        """Type and likeness of the coordination geometry of a site."""
        if site_index not in self._geometries:
            self._geometries[site_index] = super().get_site_geometry(site_index)
        return self._geometries[site_index]

    def get_next_nearest_neighbors(
        self, site_index: int, inc_inequivalent_site_index: bool = True
    ) -> list[Neighbour]:
        """Element, connectivity, geometry, angles (°) and distance (Å) of each next neighbour."""
        if site_index not in self._next:
            self._next[site_index] = self._find_next_nearest_neighbors(site_index)
        if not inc_inequivalent_site_index:
            return self._next[site_index]
        return [
            {**neighbour, "inequiv_index": self.equivalent_sites[neighbour["index"]]}
            for neighbour in self._next[site_index]
        ]

    def _find_next_nearest_neighbors(self, site_index: int) -> list[Neighbour]:
        graph = self.bonded_structure
        structure = graph.structure
        nearest = graph.connected_places(site_index)
        bonded = set(nearest)
        seen = {(site_index, (0, 0, 0))}
        found: list[Neighbour] = []
        through: list[list[Place]] = []
        for neighbour in nearest:
            for place in graph.connected_places(*neighbour):
                if place in seen:
                    continue
                seen.add(place)
                shared = list(bonded.intersection(set(graph.connected_places(*place))))
                through.append(shared)
                index, image = place
                found.append(
                    {
                        "element": str(structure[index].specie),
                        "connectivity": _CONNECTIVITY.get(len(shared), "face"),
                        "geometry": self.get_site_geometry(index),
                        "index": index,
                        "image": image,
                    }
                )
        here = structure.lattice.get_cartesian_coords(structure.frac_coords[site_index] + (0, 0, 0))
        self._add_distances(found, through, here)
        return found

    def _add_distances(
        self,
        found: list[Neighbour],
        through: list[list[Place]],
        here: Any,
    ) -> None:
        """Add the distance to each next neighbour and the angle at each shared neighbour."""
        if not found:
            return
        structure = self.bonded_structure.structure
        matrix = structure.lattice.matrix

        def coords(places: list[Place]) -> Any:
            frac = structure.frac_coords[[index for index, _ in places]]
            return np.vecmat(frac + np.array([image for _, image in places]), matrix)

        there = coords([(n["index"], n["image"]) for n in found])
        distances = norm(here - there)
        counts = [len(shared) for shared in through]
        middle = coords([place for shared in through for place in shared])
        one = here - middle
        other = np.repeat(there, counts, axis=0) - middle
        cosines = np.vecdot(one, other) / norm(one) / norm(other)
        angles = iter(
            [math.degrees(math.acos(max(min(cosine, 1), -1))) for cosine in cosines.tolist()]
        )
        for neighbour, distance, count in zip(found, distances, counts, strict=True):
            neighbour["angles"] = [next(angles) for _ in range(count)]
            neighbour["distance"] = distance

    def _calculate_equivalent_sites(
        self,
        likeness_tol: float = 0.001,
        bond_dist_tol: float = 0.01,
        bond_angle_tol: float = 0.1,
    ) -> list[int]:
        """The first site with the same element, geometry, bonds and next neighbours as each."""
        representatives: dict[int, _Surroundings] = {}
        equivalent: list[int] = []
        for index, site in enumerate(self.bonded_structure.structure):
            surroundings = _Surroundings(self, index, site)
            for other, known in representatives.items():
                if surroundings.match(known, likeness_tol, bond_dist_tol, bond_angle_tol):
                    equivalent.append(other)
                    break
            else:
                representatives[index] = surroundings
                equivalent.append(index)
        return equivalent


class _Surroundings:
    """A site's geometry, bonds and next neighbours in the order in which sites are compared."""

    def __init__(self, analyzer: SharedSiteAnalyzer, index: int, site: Any) -> None:
        self.element = get_el_sp(site.specie)
        self.geometry = analyzer.get_site_geometry(index)
        nearest = analyzer.get_nearest_neighbors(index, inc_inequivalent_site_index=False)
        self.nearest = sorted(nearest, key=lambda n: [n["element"], n["dist"]])
        following = analyzer.get_next_nearest_neighbors(index, inc_inequivalent_site_index=False)
        self.following = sorted(
            following,
            key=lambda n: [
                n["element"],
                n["geometry"]["type"],
                n["connectivity"],
                sorted(n["angles"]),
            ],
        )

    def match(
        self,
        other: _Surroundings,
        likeness_tol: float,
        bond_dist_tol: float,
        bond_angle_tol: float,
    ) -> bool:
        """Whether the two sites count as one kind."""
        if self.element != other.element:
            return False
        if len(self.nearest) != len(other.nearest):
            return False
        if len(self.following) != len(other.following):
            return False
        if not geometries_match(self.geometry, other.geometry, likeness_tol=likeness_tol):
            return False
        for a, b in zip(self.nearest, other.nearest, strict=True):
            if a["element"] != b["element"] or not abs(a["dist"] - b["dist"]) < bond_dist_tol:
                return False
        for a, b in zip(self.following, other.following, strict=True):
            if a["element"] != b["element"] or a["connectivity"] != b["connectivity"]:
                return False
            if not geometries_match(a["geometry"], b["geometry"], likeness_tol=0.001):
                return False
            pairs = zip(sorted(a["angles"]), sorted(b["angles"]), strict=False)
            if not all(abs(x - y) < bond_angle_tol for x, y in pairs):
                return False
        return True
