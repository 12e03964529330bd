"""What makes a material's texts and vectors: declared here, done by the room that can.

A model predicts by vectors, and only ``ingest`` makes any. It registers a `Preparation` under the
entry points ``featurestore.preparation``, so that nothing that predicts imports it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

from featurestore.errors import InvalidInputError
from featurestore.failure import Failure
from featurestore.plugins import loaded_alone
from featurestore.store import FeatureStore
from featurestore.views.features import VectorFeature

GROUP = "featurestore.preparation"


class MissingVersionError(InvalidInputError):
    """A version of an encoder or text generator is wanted that is not the installed one."""


@dataclass(frozen=True)
class ReadMaterials:
    """What came of reading structures.

    Parameters
    ----------
    material_ids : tuple of str
        Materials that are in the store now, in the order of their files.
    failures : dict of str to Failure
        What could not be read, by material or file.
    passed_over : dict of str to Failure
        Files that hold no structure.
    """

    material_ids: tuple[str, ...]
    failures: Mapping[str, Failure] = field(default_factory=dict)
    passed_over: Mapping[str, Failure] = field(default_factory=dict)


class Preparation(Protocol):
    """Reads, describes and encodes; what it has loaded once stays loaded until it is closed."""

    def read(
        self,
        store: FeatureStore,
        sources: Sequence[str | Path],
        *,
        dataset: str | None = None,
        id_from: str = "stem",
    ) -> ReadMaterials:
        """Put structures into a store; what is there already is left."""
        ...

    def vectors(
        self, store: FeatureStore, features: Sequence[VectorFeature], material_ids: Sequence[str]
    ) -> dict[str, Failure]:
        """Make the texts and vectors that materials of a store lack.

        Returns
        -------
        dict of str to Failure
            What could not be described or encoded, by structure_id.

        Raises
        ------
        MissingVersionError
            If something must be made by a version that is not installed.
        """
        ...

    def close(self) -> None:
        """Let go of what is loaded, worker processes among it."""
        ...


def preparation() -> Preparation:
    """The installed preparation, with nothing loaded yet.

    Raises
    ------
    FeatureStoreError
        If none is installed, or several are.
    """
    return cast(Preparation, loaded_alone(GROUP, "a preparation")())
