"""Predictors by name: parts that make recipes and restore what these have trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from featurestore.errors import FeatureStoreError, InvalidInputError
from featurestore.plugins import (
    PREDICTORS,
    NotAPartError,
    Part,
    Setting,
    load_part,
    parse_settings,
    part_names,
    registered,
)
from train.predictors.base import Predictor, Recipe


@dataclass(frozen=True, kw_only=True)
class PredictorPart(Part):
    """What a package declares about a predictor, under entry points ``featurestore.predictors``.

    ``make`` makes a `Recipe`, whose name is the part's.

    Parameters
    ----------
    restore : callable
        From the recipe's settings and the bytes of `Predictor.to_bytes` to the predictor. The
        bytes may be a stranger's: whatever they hold, none of it may be executed.
    reads : {"vectors", "structures", "nothing"}
        What it learns from: the vectors of a view, the structures of its materials, or the targets
        alone.
    further : callable, optional
        Settings that depend on the values of ``settings``, which it is given.
    classifier : PredictorPart, optional
        The part of the same name for properties of classes: its recipes have a true ``classifies``,
        and its predictors are `ClassPredictor`.
    numbers : bool
        Whether the part itself is for properties of numbers.
    """

    restore: Callable[[Mapping[str, Any], bytes], Predictor]
    reads: Literal["vectors", "structures", "nothing"] = "vectors"
    further: Callable[[Mapping[str, Any]], Sequence[Setting]] | None = None
    classifier: PredictorPart | None = None
    numbers: bool = True

    def complete(self, given: Mapping[str, Any]) -> PredictorPart:
        """The part with the further settings that it has where these are given.

        Raises
        ------
        UnknownNameError, InvalidInputError
            If a value does not suit.
        """
        if self.further is None:
            return self
        own = {
            one.name: one.checked(given.get(one.name, one.default), repr(self.name))
            for one in self.settings
        }
        return replace(self, settings=(*self.settings, *self.further(own)), further=None)

    def parsed(self, assignments: Sequence[str]) -> dict[str, Any]:
        """The values that ``NAME=VALUE`` assignments give, typed and checked; only those given.

        Raises
        ------
        UnknownNameError, InvalidInputError
            As for `featurestore.plugins.parse_settings`.
        """
        if self.further is None:
            return parse_settings(self, assignments)
        names = {one.name for one in self.settings}
        own = [text for text in assignments if text.partition("=")[0].strip() in names]
        return parse_settings(self.complete(parse_settings(self, own)), assignments)


def recipe_names() -> tuple[str, ...]:
    """The names of all predictors that installed packages register; nothing is imported."""
    return part_names(PREDICTORS)


def of_classes_alone(part: PredictorPart) -> PredictorPart:
    """The part as one that is for properties of classes and for no numbers."""
    return replace(part, classifier=part, numbers=False)


def predictor_part(name: str, classes: bool | None = None) -> PredictorPart:
    """What is declared about the predictor of that name; imports no model library.

    Parameters
    ----------
    name : str
        The predictor.
    classes : bool, optional
        Whether it is for a property of classes. None: whatever it is for.

    Raises
    ------
    UnknownNameError
        If there is none.
    InvalidInputError
        If it is not for such properties; the message names those that are.
    PartImportError, PartConflictError, NotAPartError
        If the package that adds it is at fault.
    """
    part = load_part(PREDICTORS, name, PredictorPart)
    if classes is None or (part.numbers and not classes):
        return part
    if classes and part.classifier is not None:
        return part.classifier
    that = [
        one
        for one in recipe_names()
        if (other := _usable(one)) and (other.classifier if classes else other.numbers)
    ]
    learns, has = ("numbers", "classes") if classes else ("classes", "numbers")
    raise InvalidInputError(
        f"{name} learns {learns}, and the property has {has}; predictors of {has}: "
        f"{', '.join(that)}"
    )


def classifies(recipe: Recipe) -> bool:
    """Whether a recipe is for properties of classes."""
    return bool(getattr(recipe, "classifies", False))


def make_recipe(
    name: str, changes: Mapping[str, Any] | None = None, *, classes: bool = False
) -> Recipe:
    """The recipe of that name.

    Parameters
    ----------
    name : str
        For example ``"mlp"``.
    changes : mapping
        Settings other than the defaults.
    classes : bool
        Whether it is for a property of classes.

    Raises
    ------
    UnknownNameError
        If there is no such predictor, or it has no such setting.
    InvalidInputError
        If the value of a setting does not suit, or the predictor is not for such properties.
    MissingPackageError
        If a package that it needs is not installed.
    PartImportError, PartConflictError, NotAPartError
        If the package that adds it is at fault.
    """
    changes = changes or {}
    recipe = predictor_part(name, classes).complete(changes).build(changes)
    _check(name, recipe, Recipe)
    if recipe.name != name:
        raise NotAPartError(
            f"the predictor {name!r} of {registered(PREDICTORS, name)} makes a recipe that calls "
            f"itself {recipe.name!r}; the two names must be the same"
        )
    return cast(Recipe, recipe)


def restored(
    name: str, settings: Mapping[str, Any], weights: bytes, classes: bool = False
) -> Predictor:
    """The predictor that a recipe of that name with these settings has trained.

    One that learned from all rows has the models of a cross-validation beside it; see
    `train.crossfit.predictor`.

    Raises
    ------
    UnknownNameError, MissingPackageError, PartImportError, PartConflictError, NotAPartError
        As for `make_recipe`.
    Exception
        Whatever the bytes make the part raise, if they are not those of its predictor.
    """
    from train.crossfit.predictor import CrossFitted, is_cross_fitted

    part = predictor_part(name, classes)
    part.versions()

    def alone(data: bytes) -> Predictor:
        predictor = part.restore(settings, data)
        _check(name, predictor, Predictor)
        return predictor

    return CrossFitted.from_bytes(weights, alone) if is_cross_fitted(weights) else alone(weights)


def reads(name: str) -> str | None:
    """What the predictor of that name learns from; None for one that cannot be used here."""
    part = _usable(name)
    return part.reads if part else None


def default_settings(name: str, classes: bool = False) -> dict[str, Any]:
    """The settings that a recipe has unless they are changed, as JSON has them.

    There are none for a predictor that cannot be used here: the store may hold models of it.
    """
    part = _usable(name, classes)
    return {one.name: _as_json(one.default) for one in part.settings} if part else {}


def changed_settings(
    name: str, settings: Mapping[str, Any], classes: bool = False
) -> dict[str, Any]:
    """Those of a model's settings that are not the defaults, as far as the predictor has them."""
    part = _usable(name, classes)
    if part is None:
        return {}
    defaults = default_settings(name, classes)
    return {
        setting: value
        for setting, value in sorted(settings.items())
        if (setting in defaults or part.further) and value != defaults.get(setting, _NO_DEFAULT)
    }


def identity(recipe: Recipe) -> dict[str, Any]:
    """All that decides what a recipe makes of a view and a seed; a model's id is made of it.

    That is its name and its settings, without those that only say where the work is done, and,
    where the part declares any, the versions of packages, files and what was learned from.

    Raises
    ------
    MissingPackageError, InvalidInputError
        If a package or a file is missing.
    """
    found: dict[str, Any] = {"predictor": recipe.name, "settings": recipe.settings}
    if recipe.name not in recipe_names():
        return found
    part = predictor_part(recipe.name, classifies(recipe))
    elsewhere = {one.name for one in part.settings if not one.identity}
    found["settings"] = {k: v for k, v in recipe.settings.items() if k not in elsewhere}
    if part.packages or part.data or part.trained_on is not None:
        found["part"] = part.identity()
    return found


_NO_DEFAULT = object()


def _usable(name: str, classes: bool | None = None) -> PredictorPart | None:
    """The part, for words about models that are there whether or not it can be used."""
    try:
        return predictor_part(name, classes)
    except FeatureStoreError:
        return None


def _check(name: str, made: Any, kind: type[Any]) -> None:
    if not isinstance(made, kind):
        lacking = [one for one in _members(kind) if not hasattr(made, one)]
        raise NotAPartError(
            f"the predictor {name!r} of {registered(PREDICTORS, name)} gives a "
            f"{type(made).__name__}, which is no {kind.__name__}: it lacks {', '.join(lacking)}"
        )


def _members(kind: type[Any]) -> list[str]:
    return sorted(one for one in vars(kind) if not one.startswith("_"))


def _as_json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
