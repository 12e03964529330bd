"""Hand-made features as a structure encoder: matminer's Magpie set, density and symmetry.

They are what a learned vector has to beat, and are stored like one. Composition: Magpie's
statistics of elemental properties, stoichiometric norms and valence orbitals (Ward et al., npj
Comput. Mater. 2, 16028, 2016), and the band centre. Structure: density, volume per atom, space
group. An element without a tabulated value gets the mean over all elements.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cached_property
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from featurestore.crystal import Crystal
from featurestore.errors import MissingDataError
from featurestore.failure import Failure
from ingest.encoders.base import EncoderSpec, Segment, StructureVector
from ingest.structures.convert import to_pymatgen

if TYPE_CHECKING:
    from pymatgen.core import Structure

_VERSIONS = ("matminer", "pymatgen", "spglib")
_STRUCTURE_FEATURES = {
    "DensityFeatures": ("density", "vpa"),
    "GlobalSymmetryFeatures": (
        "spacegroup_num",
        "crystal_system_int",
        "is_centrosymmetric",
        "n_symmetry_ops",
    ),
}


class MatminerEncoder:
    """Features of composition and structure, float32, in matminer's units.

    Attributes
    ----------
    spec : EncoderSpec
        With the segments ``composition`` and ``structure``; the fingerprint holds every feature's
        name and the versions of matminer, pymatgen and spglib.

    Raises
    ------
    MissingDataError
        If matminer is not installed.
    """

    def __init__(self) -> None:
        try:
            versions = {name: metadata.version(name) for name in _VERSIONS}
        except metadata.PackageNotFoundError as error:
            raise MissingDataError(
                "the encoder 'matminer' needs the package of that name: "
                "pip install 'materials-featurestore[matminer]'"
            ) from error
        composition, structure = self._featurizers
        names = [[n for f in part for n in f.feature_labels()] for part in (composition, structure)]
        width = len(names[0]) + len(names[1])
        self.spec = EncoderSpec(
            "matminer",
            "structure",
            width,
            (
                Segment("composition", 0, len(names[0])),
                Segment("structure", len(names[0]), width),
            ),
            {
                "features": names,
                "versions": versions,
                "missing values": "mean over the elements",
                "trained_on": [],
            },
        )

    @cached_property
    def _featurizers(self) -> tuple[list[Any], list[Any]]:
        """Those of a composition, and those of a structure."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from matminer.featurizers.composition import (
                BandCenter,
                ElementProperty,
                Stoichiometry,
                ValenceOrbital,
            )
            from matminer.featurizers.structure import DensityFeatures, GlobalSymmetryFeatures

            composition = [
                ElementProperty.from_preset("magpie", impute_nan=True),
                Stoichiometry(),
                ValenceOrbital(impute_nan=True),
                BandCenter(impute_nan=True),
            ]
            structure = [
                featurizer(desired_features=list(_STRUCTURE_FEATURES[featurizer.__name__]))
                for featurizer in (DensityFeatures, GlobalSymmetryFeatures)
            ]
        return composition, structure

    def encode(self, crystals: Sequence[Crystal]) -> list[StructureVector | Failure]:
        """One vector of shape (dimension,) or a failure for each crystal, in order."""
        results: list[StructureVector | Failure] = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for crystal in crystals:
                try:
                    results.append(StructureVector(self._features(to_pymatgen(crystal))))
                # matminer and pymatgen raise whatever their parts raise.
                except Exception as error:
                    results.append(Failure.of(error))
        return results

    def _features(self, structure: Structure) -> Any:
        by_composition, by_structure = self._featurizers
        values = [v for f in by_composition for v in f.featurize(structure.composition)]
        values += [v for f in by_structure for v in f.featurize(structure)]
        return np.array([float(value) for value in values], dtype=np.float32)
