"""What the points of a map are coloured by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from explain.explore.sessions import Source
from featurestore.classes import classes_of
from featurestore.errors import InvalidInputError
from featurestore.query.conditions import materials_where
from featurestore.search.exact import Vectors
from featurestore.search.projection import principal_components
from featurestore.session import Session
from train.models import find_model

_COMPONENTS = 20
#: Categories with a colour of their own.
MOST_CATEGORIES = 10


@dataclass(frozen=True, eq=False)
class Colouring:
    """A value of each material of a map.

    Parameters
    ----------
    label, unit : str
        What it is.
    values : ndarray, shape (n,), float32
        NaN where there is none; places in ``categories`` where these are not empty.
    categories : tuple of str
        The most frequent first; the last is "others" where there are more.
    low, high : float
        Ends of the scale, the 1st and 99th percentile.
    """

    label: str
    unit: str
    values: npt.NDArray[np.float32]
    categories: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 1.0


def colouring(source: Source, material_ids: pa.Array, colour: str) -> Colouring:
    """The colours of the points of materials.

    Parameters
    ----------
    material_ids : pyarrow.Array
        The materials.
    colour : str
        "crystal_system", "n_atoms", "volume", ``property:NAME``, ``error:MODEL`` (of the stored
        predictions), or ``fold:SPLIT:PROPERTY``.

    Raises
    ------
    InvalidInputError, UnknownNameError, QueryError
        If there is no such property, model or split.
    """
    session = source.session
    kind, _, name = colour.partition(":")
    unit = ""
    if kind == "property":
        rows = materials_where(session, None, ["material_id", name]).rename_columns(["id", "v"])
        [first] = session.query(
            "SELECT min(unit) AS unit FROM properties WHERE property = ?", [name]
        ).to_pylist()
        unit = "" if first["unit"] is None or classes_of(first["unit"]) else first["unit"]
        label = name
    elif kind == "error":
        model = find_model(session, name)
        rows = session.query(
            "SELECT material_id AS id, abs(prediction - target) AS v FROM predictions "
            "WHERE model_id = ?",
            [model.model_id],
        )
        label = f"absolute error of {model.model_id}"
        unit = "" if model.parameters.classes else model.parameters.unit
    elif kind == "fold":
        split, _, of = name.partition(":")
        rows = session.query(
            "SELECT material_id AS id, min(fold) AS v FROM splits WHERE split = ? AND "
            "property IN (?, '*') GROUP BY material_id",
            [split, of],
        )
        label = f"fold of {split}, {of}"
    elif colour in ("crystal_system", "n_atoms", "volume"):
        rows = materials_where(session, None, ["material_id", colour]).rename_columns(["id", "v"])
        label, unit = colour.replace("_", " "), "Å³" if colour == "volume" else ""
    else:
        raise InvalidInputError(
            "a colour is crystal_system, n_atoms, volume, cluster, property:NAME, error:MODEL or "
            f"fold:SPLIT:PROPERTY, not {colour!r}"
        )
    place = pc.index_in(material_ids, rows["id"].combine_chunks())
    values = rows["v"].combine_chunks().take(place)
    if pa.types.is_string(values.type):
        return _of_categories(label, values)
    numbers = values.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float32)
    there = numbers[np.isfinite(numbers)]
    if not len(there):
        return Colouring(label, unit, numbers)
    low, high = (float(x) for x in np.percentile(there, [1, 99]))
    return Colouring(label, unit, numbers, low=low, high=high if high > low else low + 1)


def clusters(vectors: Vectors) -> Colouring:
    """Which of the clusters of a space each vector is in, the largest first.

    k-means (D. Sculley, WWW 2010, 1177; scikit-learn's MiniBatchKMeans) on the first principal
    components, into as many clusters as there are colours.
    """
    from sklearn.cluster import MiniBatchKMeans  # brings SciPy

    components, _ = principal_components(vectors, _COMPONENTS)
    k = min(MOST_CATEGORIES, len(vectors))
    found = MiniBatchKMeans(k, random_state=0, n_init=3).fit_predict(components)
    counts = np.bincount(found, minlength=k)
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(k, np.float32)
    rank[order] = np.arange(k)
    names = tuple(f"cluster {i + 1} ({counts[c]:,})" for i, c in enumerate(order) if counts[c])
    return Colouring("cluster", "", rank[found], names)


def _of_categories(label: str, values: pa.Array) -> Colouring:
    counted = values.drop_null().value_counts().to_pylist()
    names = [row["values"] for row in sorted(counted, key=lambda r: (-r["counts"], r["values"]))]
    shown = names if len(names) <= MOST_CATEGORIES else [*names[: MOST_CATEGORIES - 1], "others"]
    places = pc.index_in(values, pa.array(names, pa.string())).to_numpy(zero_copy_only=False)
    numbers = np.minimum(places.astype(np.float32), max(len(shown) - 1, 0))
    return Colouring(label, "", numbers, tuple(shown))


def colours(session: Session) -> list[tuple[str, str]]:
    """What a map can be coloured by: (value of ``colour``, how it is called)."""
    named = ("crystal_system", "n_atoms", "volume", "cluster")
    found = [(one, one.replace("_", " ")) for one in named]
    names = session.query("SELECT DISTINCT property FROM properties ORDER BY property")
    found += [(f"property:{one}", one) for one in names["property"].to_pylist()]
    models = session.query(
        "SELECT min(model_id) AS model_id FROM models GROUP BY property, view_fingerprint, "
        "predictor, settings ORDER BY model_id"
    )["model_id"].to_pylist()
    found += [(f"error:{one}", f"error of {one}") for one in models]
    splits = session.query("SELECT DISTINCT split, property FROM splits ORDER BY ALL").to_pylist()
    found += [
        (f"fold:{row['split']}:{row['property']}", f"fold of {row['split']}, {row['property']}")
        for row in splits
    ]
    return found
