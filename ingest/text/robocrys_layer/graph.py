"""A bond graph that works out the sites connected to a site once."""

from __future__ import annotations

from typing import Any

import numpy as np
from pymatgen.core.graphs import ConnectedSite, StructureGraph
from pymatgen.core.sites import PeriodicSite

Image = tuple[int, int, int]

_HOME: Image = (0, 0, 0)


class BondGraph(StructureGraph):
    """A structure graph for reading: bonds are not changed once it is built.

    The library builds a site object from a dictionary for each bond of each question. Here a bond
    is read once, and the answer for another image of the site is the same bonds, shifted.
    """

    def __init__(self, structure: Any, graph_data: dict[str, Any] | None = None) -> None:
        super().__init__(structure, graph_data)
        self._bonds: dict[int, list[tuple[int, Image, float, Any]]] = {}
        self._connected: dict[tuple[int, Image], list[ConnectedSite]] = {}

    def get_connected_sites(self, n: int, jimage: Image = _HOME) -> list[ConnectedSite]:
        """The sites bonded to site ``n`` in cell ``jimage``, the closest first.

        Sites at equal distance come in the order of the library, which is that of a set.
        """
        jimage = (int(jimage[0]), int(jimage[1]), int(jimage[2]))
        key = (n, jimage)
        if key not in self._connected:
            self._connected[key] = self._find(n, jimage)
        return self._connected[key]

    def _find(self, n: int, jimage: Image) -> list[ConnectedSite]:
        found = set()
        for index, image, distance, weight in self._bonds_of(n):
            to = (image[0] + jimage[0], image[1] + jimage[1], image[2] + jimage[2])
            site = self.structure[index]
            shifted = PeriodicSite(
                site.species,
                np.add(site.frac_coords, to),
                site.lattice,
                properties=site.properties,
                label=site.label,
                skip_checks=True,
            )
            found.add(ConnectedSite(shifted, to, index, weight, distance))
        return sorted(found, key=lambda connected: connected.dist)

    def _bonds_of(self, n: int) -> list[tuple[int, Image, float, Any]]:
        """Index, image, length in Å and weight of each bond of site ``n`` in the home cell."""
        if n not in self._bonds:
            outward = [
                (v, data["to_jimage"], data) for _, v, data in self.graph.out_edges(n, data=True)
            ]
            inward = [
                (u, tuple(-i for i in data["to_jimage"]), data)
                for u, _, data in self.graph.in_edges(n, data=True)
            ]
            bonds = {}
            for index, image, data in outward + inward:
                if (index, image) not in bonds:
                    distance = self.structure[n].distance(self.structure[index], jimage=image)
                    bonds[index, image] = (index, image, distance, data.get("weight"))
            self._bonds[n] = list(bonds.values())
        return self._bonds[n]
