"""Maps of spaces: two coordinates for every material, computed once and kept, and their colours."""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from explain.explore.axes import robust_ends
from explain.explore.map_colours import Colouring
from explain.explore.sessions import Source
from featurestore.errors import MissingDataError, StorageError
from featurestore.identity import canonical_json
from featurestore.output.rows import atomic_path
from featurestore.search.exact import Vectors
from featurestore.search.projection import check_method, project

_FEWEST = 3
_MARGIN = 0.03


@dataclass(frozen=True, eq=False)
class Map:
    """Materials with coordinates.

    Parameters
    ----------
    material_ids : pyarrow.Array
        Of the n materials that have a vector, ascending.
    xy : ndarray, shape (n, 2), float32
        Coordinates.
    axes : tuple of str
        What they are.
    encoder_id : str
        Whose space.
    method : str
        See `featurestore.search.projection.project`.
    """

    material_ids: pa.Array
    xy: npt.NDArray[np.float32]
    axes: tuple[str, str]
    encoder_id: str
    method: str

    @property
    def limits(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Ends of both axes, that no outlier squeezes the others."""
        found = []
        for values in self.xy.T.astype(np.float64):
            low, high = robust_ends(values, 0.6)
            margin = _MARGIN * (high - low)
            found.append((low - margin, high + margin))
        return found[0], found[1]


@dataclass(frozen=True)
class MapRequest:
    """Which map: an encoder, a method, and for texts whose."""

    encoder: str
    method: str = "pca"
    text_source: str | None = None
    seed: int = 0


def make_map(source: Source, request: MapRequest, folder: Path) -> Map:
    """A map, from the folder where it has been made before.

    Parameters
    ----------
    source : Source
        The store.
    request : MapRequest
        Which.
    folder : Path
        Where maps are kept; it is made if need be.

    Raises
    ------
    InvalidInputError, UnknownNameError, MissingDataError
        For names and methods that are not known, or too few materials.
    """
    check_method(request.method)
    shown, vectors, encoder_id = vectors_of(source, request)
    path = folder / f"{_digest(request, encoder_id, shown, vectors)}.npz"
    kept = _kept(path, len(shown))
    if kept is None:
        coordinates, axes = project(vectors, request.method, request.seed)
        kept = np.asarray(coordinates, np.float32), axes
        # Where it cannot be kept, as on a full disk, it is there nevertheless.
        with (
            suppress(StorageError),
            atomic_path(path) as temporary,
            temporary.open("wb") as file,
        ):
            np.savez(file, xy=kept[0], axes=np.array(kept[1]))
    return Map(shown, kept[0], kept[1], encoder_id, request.method)


def vectors_of(source: Source, request: MapRequest) -> tuple[pa.Array, Vectors, str]:
    """The materials of a map, ascending, their vectors, and whose these are.

    Raises
    ------
    InvalidInputError, UnknownNameError, MissingDataError
        As `make_map`.
    """
    space, links = source.store.search.contents(
        source.session, request.encoder, text_source=request.text_source, variant="full"
    )
    facts = source.session.query(
        "SELECT material_id, structure_id FROM materials ORDER BY material_id"
    )
    ids = facts["structure_id"]
    if links is not None:
        place = pc.index_in(ids, links["structure_id"].combine_chunks()).combine_chunks()
        ids = links["text_id"].combine_chunks().take(place)
    place = pc.index_in(ids, space.ids)
    there = pc.is_valid(place)
    shown = facts["material_id"].filter(there).combine_chunks()
    if len(shown) < _FEWEST:
        raise MissingDataError(
            f"{len(shown)} materials have a vector of {space.encoder.encoder_id}; a map needs at "
            f"least {_FEWEST}"
        )
    vectors = space.exact.vectors[place.filter(there).to_numpy()]
    return shown, vectors, space.encoder.encoder_id


def _digest(
    request: MapRequest, encoder_id: str, ids: pa.Array, vectors: npt.NDArray[np.float32]
) -> str:
    """What names a map: the materials, every byte of their vectors, and how it is made."""
    digest = hashlib.sha256(
        canonical_json([encoder_id, request.method, request.seed]).encode("utf-8")
    )
    digest.update(canonical_json(ids.to_pylist()).encode("utf-8"))
    digest.update(np.ascontiguousarray(vectors).data)
    return digest.hexdigest()[:32]


def _kept(path: Path, n: int) -> tuple[npt.NDArray[np.float32], tuple[str, str]] | None:
    """A map that was made before; None if there is none, or it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as held:
            xy, axes = held["xy"], held["axes"].tolist()
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
    if xy.shape != (n, 2) or xy.dtype != np.float32 or len(axes) != 2:
        return None
    return xy, (str(axes[0]), str(axes[1]))


def packed(drawn: Map, coloured: Colouring) -> bytes:
    """A map in few bytes, as the page reads it.

    Four bytes with the length of the header, little-endian; the header, JSON; float32 x and y of
    each material, one after the other; float32 colours; a JSON list of the ids.
    """
    header = {
        "n": len(drawn.material_ids),
        "axes": drawn.axes,
        "limits": drawn.limits,
        "encoder": drawn.encoder_id,
        "label": coloured.label,
        "unit": coloured.unit,
        "categories": coloured.categories,
        "low": coloured.low,
        "high": coloured.high,
    }
    head = json.dumps(header).encode("utf-8")
    # Arrays of floats begin at a multiple of four.
    head += b" " * (-len(head) % 4)
    ids = json.dumps(drawn.material_ids.to_pylist(), ensure_ascii=False, separators=(",", ":"))
    return b"".join(
        (
            struct.pack("<I", len(head)),
            head,
            drawn.xy.astype("<f4").tobytes(),
            coloured.values.astype("<f4").tobytes(),
            ids.encode("utf-8", "replace"),
        )
    )


def map_table(drawn: Map, coloured: Colouring) -> pa.Table:
    """The same as rows: material_id, x, y and colour."""
    colour: Any = pa.array(coloured.values.astype(np.float64), from_pandas=True)
    if coloured.categories:
        colour = pa.array(list(coloured.categories)).take(colour.cast(pa.int64()))
    return pa.table(
        {
            "material_id": drawn.material_ids,
            "x": drawn.xy[:, 0],
            "y": drawn.xy[:, 1],
            "colour": colour,
        }
    )
