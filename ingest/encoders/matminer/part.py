"""matminer's featurizers as a part; by default the set that learned vectors are compared with."""

from __future__ import annotations

from featurestore.plugins import Request, Setting
from ingest.encoders.base import EncoderPart, StructureEncoder
from ingest.encoders.matminer.featurizers import BASELINE


def _make(request: Request) -> StructureEncoder:
    from ingest.encoders.matminer.encoder import matminer_encoder

    return matminer_encoder(request)


MATMINER = EncoderPart(
    name="matminer",
    kind="structure",
    summary="Hand-made features of composition and structure, by any of matminer's featurizers.",
    make=_make,
    packages=("matminer", "pymatgen", "spglib"),
    trained_on=(),
    licence="BSD (matminer)",
    install="pip install 'materials-featurestore[matminer]'",
    settings=(
        Setting(
            "featurizers",
            str,
            BASELINE,
            "Names of classes in matminer.featurizers.composition and .structure, separated by "
            "commas, each with its preset where it has one: "
            "ElementProperty:magpie,DensityFeatures. The baseline is Magpie's statistics, "
            "stoichiometry, valence orbitals, band centre, density and symmetry.",
        ),
        Setting(
            "impute_nan",
            bool,
            True,
            "Whether an element without a tabulated value gets the mean over all elements, where "
            "the featurizer can do that; else the structure fails.",
        ),
    ),
)
