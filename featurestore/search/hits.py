"""What a search over materials asks for, and the rows it answers with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.catalogue import Encoder, Generator
from featurestore.output.display import Showing, Shown


@dataclass(frozen=True, eq=False)
class NearVector:
    """Materials near a vector in an encoder's space.

    Parameters
    ----------
    encoder : Encoder
        Whose space.
    vector : ndarray, shape (width,), float32
        The query.
    generator, variant : Generator or None, str
        For a text encoder: which texts are compared with it.
    """

    encoder: Encoder
    vector: npt.NDArray[np.float32]
    generator: Generator | None = None
    variant: str = "full"


@dataclass(frozen=True)
class HoldsWords:
    """Materials whose texts hold words."""

    query: str
    generator: Generator
    variant: str = "full"


@dataclass(frozen=True)
class Among:
    """Which materials are searched, and how many are wanted.

    Parameters
    ----------
    k : int
        Materials wanted.
    where : str or None
        An SQL expression over the columns of ``materials`` and the names of properties.
    property_source : str or None
        Source of properties that come from several.
    without : str or None
        A material that is not to be among the hits.
    """

    k: int = 10
    where: str | None = None
    property_source: str | None = None
    without: str | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Hits(Shown):
    """Materials found, best first.

    Parameters
    ----------
    table : pyarrow.Table
        rank, material_id, formula, space_group, crystal_system, the properties that the condition
        names, and ``distance`` (smaller is nearer), ``score`` of words, or, for several questions
        at once, their fused ``score`` and what each contributes.
    notes : sequence of str
        What a reader should know, with the notes on how the structures of the hits were read.
    """

    table: pa.Table
    notes: Sequence[str] = field(default_factory=tuple)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def showing(self) -> Showing:
        """The hits, best first."""
        return Showing(f"{len(self)} materials", {}, self.table, tuple(self.notes))
