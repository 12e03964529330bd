"""The one number of a model that an erasure changes, and the one that it should be.

Of a property of numbers these are the prediction and the target. Of a property of classes they are
the probability of the class j that the model predicts from its whole input, and 1, so that the
error is 1 - p_j, and what an erasure adds to it is p_j(whole) - p_j(erased): comprehensiveness, and
likewise sufficiency, as DeYoung et al. define them (ERASER, ACL 2020, 4443, section 4).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from featurestore.quoting import SQL
from train.models import StoredModel
from train.predictors.loading import LoadedModel

Floats = npt.NDArray[np.float64]


def output_columns() -> SQL:
    """Over rows of ``predictions``: the number, what it should be, the predicted class's place.

    The last is NULL for a property of numbers.
    """
    return SQL(
        "coalesce(probabilities[CAST(prediction AS BIGINT) + 1], prediction) AS prediction, "
        "CASE WHEN probabilities IS NULL THEN target ELSE 1 END AS target, "
        "CASE WHEN probabilities IS NOT NULL THEN CAST(prediction AS BIGINT) END AS place"
    )


def outputs(
    model: LoadedModel, features: npt.NDArray[np.float32], places: Sequence[int] | None
) -> Floats:
    """The number for each row, shape (n,).

    Parameters
    ----------
    features : ndarray, shape (n, width), float32
        Of the rows.
    places : sequence of int or None
        Of the classes whose probabilities are asked for, one a row; None for a property of numbers.
    """
    if places is None:
        return model.predict(features)
    return model.probabilities(features)[np.arange(len(features)), np.asarray(places, np.int64)]


def outputs_of_whole(model: LoadedModel, features: npt.NDArray[np.float32]) -> Floats:
    """The number for each row; of classes the one predicted for the first row, the whole input.

    Parameters
    ----------
    features : ndarray, shape (n, width), float32
        The whole input and what erasures leave of it.

    Returns
    -------
    ndarray, shape (n,), float64
    """
    if not model.parameters.classes:
        return model.predict(features)
    found = model.probabilities(features)
    return found[:, int(found[0].argmax())]


def places_of(model: StoredModel, places: Sequence[int | None]) -> tuple[int, ...] | None:
    """The classes that a model predicts from its whole input; None for a property of numbers."""
    return tuple(int(one or 0) for one in places) if model.parameters.classes else None


def output_unit(model: StoredModel) -> str:
    """The unit of the number: the property's, or that of a probability."""
    return "1" if model.parameters.classes else model.parameters.unit
