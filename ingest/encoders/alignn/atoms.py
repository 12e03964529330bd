"""The vectors by which ALIGNN knows the elements, from jarvis-tools' tables."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import numpy.typing as npt

from featurestore.errors import InvalidInputError


@cache
def element_features(symbol: str, feature_set: str) -> npt.NDArray[np.float32]:
    """The initial feature vector of an element: float32, shape (n_features,).

    Parameters
    ----------
    symbol : str
    feature_set : str
        ``"cgcnn"``: the 92 digits of Xie and Grossman, Phys. Rev. Lett. 120, 145301 (2018);
        or another set of ``jarvis.core.specie.get_node_attributes``.

    Raises
    ------
    InvalidInputError
        If the set has no vector for the element; jarvis-tools would take fermium's, with a
        printed warning.
    """
    from jarvis.core.specie import cgcnn_feature_json, chem_data, get_node_attributes

    if symbol not in chem_data:
        raise InvalidInputError(f"ALIGNN's atom features know no element {symbol!r}")
    if feature_set == "cgcnn":
        values = _cgcnn_table(cgcnn_feature_json).get(str(int(chem_data[symbol]["Z"])))
    else:
        values = get_node_attributes(symbol, atom_features=feature_set)
    if values is None:
        raise InvalidInputError(
            f"ALIGNN's atom features {feature_set!r} have no vector for element {symbol!r}"
        )
    return np.asarray(values, dtype=np.float32)


@cache
def _cgcnn_table(path: str) -> dict[str, list[float]]:
    """Atomic number, as a string, to feature vector."""
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - the library gives a string
        table: dict[str, list[float]] = json.load(file)
    return table
