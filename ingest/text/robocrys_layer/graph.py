"""A bond graph that works out once which sites are connected to a site."""

from __future__ import annotations

from typing import Any

import numpy as np
from pymatgen.core.graphs import ConnectedSite, StructureGraph
from pymatgen.core.sites import PeriodicSite

Image = tuple[int, int, int]
Place = tuple[int, Image]

_HOME: Image = (0, 0, 0)


class BondGraph(StructureGraph):
    """A structure graph for reading: bonds are not changed once it is built.

    For each question the library builds a site object from a dictionary for every bond. Here a
    bond is read once, and the answer for another image of a site is the same bonds, shifted.
    """

    def __init__(self, structure: Any, graph_data: dict[str, Any] | None = None) -> None:
        super().__init__(structure, graph_data)
        self._bonds: dict[int, dict[Place, tuple[float, Any]]] = {}
        self._places: dict[Place, list[Place]] = {}
        self._connected: dict[Place, list[ConnectedSite]] = {}

    def get_connected_sites(self, n: int, jimage: Image = _HOME) -> list[ConnectedSite]:
        """The sites bonded to site ``n`` in cell ``jimage``, the closest first."""
        origin = (n, _image(jimage))
        if origin not in self._connected:
            self._connected[origin] = [
                self._connected_site(origin, place) for place in self.connected_places(*origin)
            ]
        return self._connected[origin]

    def connected_places(self, n: int, jimage: Image = _HOME) -> list[Place]:
        """Index and image of each site bonded to site ``n`` in cell ``jimage``.

        The closest come first, and those at equal distance in the order of the library, which is
        that of a set of connected sites: these tuples have the hashes of the connected sites.
        """
        origin = (n, _image(jimage))
        if origin not in self._places:
            found = set()
            for (index, image), (distance, weight) in self._bonds_of(n).items():
                number = hash(self.structure[index])
                found.add((number, _shifted(image, origin[1]), index, weight, distance))
            nearest = sorted(found, key=lambda connected: connected[4])
            self._places[origin] = [(index, image) for _, image, index, _, _ in nearest]
        return self._places[origin]

    def _connected_site(self, origin: Place, place: Place) -> ConnectedSite:
        index, image = place
        site = self.structure[index]
        n, home = origin
        relative = (image[0] - home[0], image[1] - home[1], image[2] - home[2])
        distance, weight = self._bonds_of(n)[index, relative]
        moved = PeriodicSite(
            site.species,
            np.add(site.frac_coords, image),
            site.lattice,
            properties=site.properties,
            label=site.label,
            skip_checks=True,
        )
        return ConnectedSite(moved, image, index, weight, distance)

    def _bonds_of(self, n: int) -> dict[Place, tuple[float, Any]]:
        """Length in Å and weight of each bond of site ``n`` in the home cell, by its other end."""
        if n not in self._bonds:
            ends = [(v, data["to_jimage"], data) for _, v, data in self.graph.out_edges(n, True)]
            for u, _, data in self.graph.in_edges(n, True):
                x, y, z = data["to_jimage"]
                ends.append((u, (-x, -y, -z), data))
            bonds: dict[Place, tuple[float, Any]] = {}
            for index, image, data in ends:
                if (index, image) not in bonds:
                    distance = self.structure[n].distance(self.structure[index], jimage=image)
                    bonds[index, image] = (distance, data.get("weight"))
            self._bonds[n] = bonds
        return self._bonds[n]


def _image(image: Any) -> Image:
    return (int(image[0]), int(image[1]), int(image[2]))


def _shifted(image: Image, by: Image) -> Image:
    return (image[0] + by[0], image[1] + by[1], image[2] + by[2])
