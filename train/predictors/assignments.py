"""Settings of predictors as they are assigned, whether for numbers or for classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from featurestore.errors import FeatureStoreError, InvalidInputError
from train.predictors.registry import PredictorPart, predictor_part


def parse_benchmark_settings(assignments: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Assignments such as ``mlp.max_epochs=50``, by predictor.

    Raises
    ------
    InvalidInputError
        If one has another form, is given twice, or its value does not suit.
    UnknownNameError
        If it is of an unknown predictor, or this has no such setting.
    """
    found: dict[str, list[str]] = {}
    for assignment in assignments:
        left, equals, _ = assignment.partition("=")
        name, dot, setting = left.strip().partition(".")
        if not (equals and dot and setting):
            raise InvalidInputError(
                f"a setting is PREDICTOR.NAME=VALUE, as mlp.max_epochs=50; got {assignment!r}"
            )
        found.setdefault(name, []).append(assignment.strip().removeprefix(f"{name}."))
    return {name: parsed_settings(name, given) for name, given in found.items()}


def parsed_settings(
    name: str, assignments: Sequence[str], classes: bool | None = None
) -> dict[str, Any]:
    """The values that ``NAME=VALUE`` assignments give for a predictor.

    Parameters
    ----------
    classes : bool, optional
        Whether it is for a property of classes. None: whichever the assignments are for.

    Raises
    ------
    UnknownNameError, InvalidInputError
        As for `PredictorPart.parsed`.
    """
    if classes is not None:
        return predictor_part(name, classes).parsed(assignments)
    return _first_that_takes(name, lambda part: part.parsed(assignments))


def check_changes(name: str, changes: Mapping[str, Any]) -> None:
    """Raise unless a predictor takes these settings, for numbers or for classes.

    Raises
    ------
    UnknownNameError, InvalidInputError, MissingPackageError
        As for `make_recipe`.
    """
    _first_that_takes(name, lambda part: part.complete(changes).build(changes))


def _first_that_takes(name: str, use: Callable[[PredictorPart], Any]) -> Any:
    part = predictor_part(name)
    kinds = [part] if part.numbers else []
    kinds += [part.classifier] if part.classifier is not None else []
    for one in kinds[:-1]:
        with suppress(FeatureStoreError):
            return use(one)
    try:
        return use(kinds[-1])
    except FeatureStoreError:
        # what is wrong with numbers, which are the rule
        return use(kinds[0])
