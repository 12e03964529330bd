"""robocrys' condenser on shared analyses, with its databases read once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from robocrys.condense import condenser as library
from robocrys.condense.molecule import MoleculeNamer

from ingest.text.robocrys_layer.analysis import Analyses, SharedCrystalNN
from ingest.text.robocrys_layer.minerals import SharedMineralMatcher
from ingest.text.robocrys_layer.sites import SharedSiteAnalyzer

if TYPE_CHECKING:
    from pymatgen.core import Structure


class SharedCondenser(library.StructureCondenser):
    """Condenses structures as ``StructureCondenser()`` does with its default settings."""

    def __init__(self) -> None:
        analyses = Analyses()
        super().__init__(
            near_neighbors=SharedCrystalNN(analyses),
            mineral_matcher=SharedMineralMatcher(analyses),
        )
        namer = MoleculeNamer(use_online_pubchem=False)
        self._parts = {
            "SiteAnalyzer": partial(_site_analyzer, analyses),
            "MoleculeNamer": lambda: namer,
        }

    def condense_structure(self, structure: Structure) -> dict[str, Any]:
        """The condensed form of ``structure`` that the describer turns into words."""
        with _replaced(self._parts):
            return super().condense_structure(structure)


def _site_analyzer(
    analyses: Analyses, graph: Any, symprec: float, use_symmetry_equivalent_sites: bool
) -> SharedSiteAnalyzer:
    if use_symmetry_equivalent_sites:
        raise NotImplementedError("the shared site analyser compares surroundings")
    return SharedSiteAnalyzer(graph, symprec, analyses)


@contextmanager
def _replaced(parts: dict[str, Any]) -> Iterator[None]:
    """Give the library's condenser module other classes, for the length of one call."""
    originals = {name: getattr(library, name) for name in parts}
    for name, part in parts.items():
        setattr(library, name, part)
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(library, name, original)
