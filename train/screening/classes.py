"""What is said of candidates where classes are wanted: the probability of any of these."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from featurestore.classes import classes_of, place_of, shown_unit
from featurestore.errors import InvalidInputError
from train.forecasts.forecast import Forecast
from train.forecasts.group import LoadedGroup
from train.screening.distribution import Distribution, NormalErrors
from train.screening.rules import Outlook
from train.screening.wants import Want

Floats = npt.NDArray[np.float64]


def resolved(want: Want, unit: str) -> Want:
    """The want with the places of its classes, after checking that the property has such.

    Raises
    ------
    UnknownNameError
        If a class is not among those of the property.
    InvalidInputError
        If numbers are wanted of classes, or classes of numbers; if all classes are wanted.
    """
    classes = classes_of(unit)
    if classes and not want.classes:
        raise InvalidInputError(
            f"{want.property} has the classes {shown_unit(unit)}, no numbers; write "
            f"'{want.property} = {classes[-1]}' in place of {str(want)!r}"
        )
    if not want.classes:
        return want
    places = {place_of(name, unit, want.property) for name in want.classes}
    if len(places) == len(classes):
        raise InvalidInputError(f"{str(want)!r} wants every class there is: leave it out")
    return want.at(frozenset(places))


def class_outlook(
    group: LoadedGroup, want: Want, forecasts: Sequence[Forecast | None], known: Floats
) -> Outlook:
    """The probability of the wanted classes, of a known value 0 or 1.

    For the rule of uncertainty, and for intervals, whether the want is fulfilled counts as 0 or 1
    with that mean and the standard deviation sqrt(p (1 - p)).

    Parameters
    ----------
    forecasts : sequence of Forecast or None
        Of the n materials.
    known : ndarray, shape (n,), float64
        Places of known classes; NaN elsewhere.
    """
    places = sorted(want.places)
    shares = np.array(
        [0.0 if row is None else sum(row.probabilities[one] for one in places) for row in forecasts]
    )
    shares = np.clip(shares, 0.0, 1.0)
    is_known = np.isfinite(known)
    shares = np.where(is_known, np.isin(known, places), shares)
    scale = np.where(is_known, 0.0, np.sqrt(shares * (1 - shares)))
    base = float(np.isin(group.knowledge.domain.targets, places).mean())
    spread = float(np.sqrt(base * (1 - base)))
    values = Distribution(shares, scale, NormalErrors())
    return Outlook(want, values, float("nan"), spread if spread > 0 else 1.0)
