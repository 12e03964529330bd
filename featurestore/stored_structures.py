"""Reads stored structures back as crystals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from featurestore.catalogue import structure_of
from featurestore.crystal import Crystal
from featurestore.session import Session

_BATCH = 1000


def crystal_from_row(row: dict[str, Any]) -> Crystal:
    """The crystal in a row of ``materials``."""
    return Crystal(
        np.array(row["lattice"], dtype=np.float64).reshape(3, 3),
        tuple(row["species"]),
        np.array(row["frac_coords"], dtype=np.float64).reshape(-1, 3),
    )


def stored_crystal(session: Session, material_id: str) -> Crystal:
    """The structure of a stored material.

    Raises
    ------
    UnknownNameError
        If there is no such material.
    """
    ((_, crystal),) = stored_crystals(session, [structure_of(session, material_id)])
    return crystal


def stored_crystals(
    session: Session, structure_ids: Sequence[str]
) -> Iterator[tuple[str, Crystal]]:
    """(structure_id, crystal) for each id, in the order given, read in batches."""
    dataset = session.dataset("materials")
    if dataset is None or not structure_ids:
        return
    keys = dataset.to_table(columns=["structure_id"])["structure_id"].combine_chunks()
    offsets = pa.compute.index_in(pa.array(structure_ids), keys).to_numpy()
    columns = ["structure_id", "lattice", "species", "frac_coords"]
    for first in range(0, len(offsets), _BATCH):
        for row in dataset.take(offsets[first : first + _BATCH], columns=columns).to_pylist():
            yield row["structure_id"], crystal_from_row(row)
