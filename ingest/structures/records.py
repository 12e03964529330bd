"""One material as a reader found it, before anything has been checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from featurestore.crystal import Crystal
from featurestore.failure import Failure


@dataclass(frozen=True)
class NotAStructure(Failure):
    """Why a file is passed over: it is of no format for structures. No failure of a material."""


@dataclass(frozen=True)
class MaterialRecord:
    """A material in its source.

    Parameters
    ----------
    material_id : str
        Its name there: a JARVIS id, a file stem.
    structure : Crystal or Failure
        The structure, or why there is none.
    targets : mapping of str to object
        Property values as they stand in the source, unchecked.
    source_file : str
        The file it came from, relative to what the user named.
    notes : tuple of str
        What was not plain in reading it, each ``kind: sentence``; they stay with the material.
    space_group : int, optional
        The number of the space group that the source states.
    """

    material_id: str
    structure: Crystal | Failure
    targets: Mapping[str, Any] = field(default_factory=dict)
    source_file: str = ""
    notes: tuple[str, ...] = ()
    space_group: int | None = None
