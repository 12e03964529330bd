"""The encoder whose vector is the features of several of matminer's featurizers, side by side."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np

from featurestore.crystal import Crystal
from featurestore.failure import Failure
from featurestore.plugins import Request
from ingest.encoders.base import EncoderSpec, Segment, StructureVector
from ingest.encoders.matminer.featurizers import BASELINE, Featurizer, baseline, named_featurizers
from ingest.structures.convert import to_pymatgen


def matminer_encoder(request: Request) -> MatminerEncoder:
    """The encoder with the featurizers that the setting of that name lists.

    The baseline has the segments ``composition`` and ``structure``; of named featurizers each has
    a segment of its own.

    Raises
    ------
    UnknownNameError, InvalidInputError
        As for `named_featurizers`.
    """
    impute = request.settings["impute_nan"]
    chosen = request.settings["featurizers"].strip()
    fingerprint = request.fingerprint
    if chosen == BASELINE:
        featurizers = baseline(impute)
        segments = [featurizer.of for featurizer in featurizers]
    else:
        names = [name.strip() for name in chosen.split(",")]
        featurizers = named_featurizers(names, impute)
        segments = [featurizer.segment for featurizer in featurizers]
        # However the list is spaced, it makes one encoder.
        settings = fingerprint["settings"] | {"featurizers": ",".join(names)}
        fingerprint = fingerprint | {"settings": settings}
    labels: dict[str, list[str]] = {}
    for segment, featurizer in zip(segments, featurizers, strict=True):
        labels.setdefault(segment, []).extend(featurizer.labels)
    fingerprint = fingerprint | {"features": list(labels.values())}
    if chosen == BASELINE and impute:
        # As it was before there was a choice: stores hold vectors under this fingerprint.
        fingerprint = {name: fingerprint[name] for name in ("features", "versions", "trained_on")}
        fingerprint["missing values"] = "mean over the elements"
    bounds = [0, *accumulate(map(len, labels.values()))]
    spec = EncoderSpec(
        name=request.name,
        kind="structure",
        dimension=bounds[-1],
        segments=tuple(
            Segment(name, start, stop)
            for name, (start, stop) in zip(labels, pairwise(bounds), strict=True)
        ),
        fingerprint=fingerprint,
    )
    return MatminerEncoder(spec, featurizers)


class MatminerEncoder:
    """Features of composition and structure, float32, in matminer's units.

    Attributes
    ----------
    spec : EncoderSpec
        Its fingerprint holds every feature's name and the versions of matminer, pymatgen and
        spglib.
    """

    def __init__(self, spec: EncoderSpec, featurizers: Sequence[Featurizer]) -> None:
        self.spec = spec
        self._featurizers = featurizers

    def encode(self, crystals: Sequence[Crystal]) -> list[StructureVector | Failure]:
        """One vector of shape (dimension,) or a failure for each crystal, in order.

        A failure names the featurizer that raises, or whose feature is not a finite number.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return [self._encoded(crystal) for crystal in crystals]

    def _encoded(self, crystal: Crystal) -> StructureVector | Failure:
        try:
            structure = to_pymatgen(crystal)
        except Exception as error:
            return Failure.of(error)
        vector: list[np.float32] = []
        for featurizer in self._featurizers:
            try:
                values = featurizer.features(structure)
            # matminer and pymatgen raise whatever their parts raise.
            except Exception as error:
                return Failure(type(error).__name__, f"{featurizer.name}: {error}")
            for label, value in zip(featurizer.labels, values, strict=True):
                try:
                    number = np.float32(value)
                except (TypeError, ValueError):
                    return Failure(
                        "NotANumber", f"{featurizer.name} gives {value!r} for {label!r}, no number"
                    )
                if not np.isfinite(number):
                    return Failure("NotFinite", f"{featurizer.name} gives {value} for {label!r}")
                vector.append(number)
        return StructureVector(np.array(vector, dtype=np.float32))
