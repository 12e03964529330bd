"""The recipes by name, with the settings in which a user wants them changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from featurestore.errors import InvalidInputError, UnknownNameError
from train.predictors.base import Recipe

#: Recipes that do not look at the features, nor at the seed.
CONSTANTS = ("mean", "median")


def _mlp() -> Any:
    from train.predictors.mlp import MLP

    return MLP()


def _ensemble() -> Any:
    from train.predictors.ensemble.recipe import Ensemble

    return Ensemble()


def _boosted_trees() -> Any:
    from train.predictors.baselines.boosted_trees import BoostedTrees

    return BoostedTrees()


def _alignn() -> Any:
    from train.predictors.graph.scratch import Alignn

    return Alignn()


def _constant(name: str) -> Callable[[], Any]:
    def make() -> Any:
        from train.predictors.baselines.constant import Constant

        return Constant(name)

    return make


_RECIPES: dict[str, Callable[[], Any]] = {
    "mlp": _mlp,
    "ensemble": _ensemble,
    "gbt": _boosted_trees,
    "alignn": _alignn,
    **{name: _constant(name) for name in CONSTANTS},
}


def recipe_names() -> list[str]:
    """The names of all recipes."""
    return list(_RECIPES)


def make_recipe(name: str, changes: Mapping[str, Any] | None = None) -> Recipe:
    """The recipe of that name.

    Parameters
    ----------
    name : str
        For example ``"mlp"``.
    changes : mapping
        Settings other than the defaults.

    Raises
    ------
    UnknownNameError
        If there is no such recipe, or it has no such setting.
    InvalidInputError
        If a setting's value is of another type than its default.
    """
    if name not in _RECIPES:
        raise UnknownNameError("predictor", name, _RECIPES)
    recipe = _RECIPES[name]()
    values = {}
    for setting, value in (changes or {}).items():
        if setting not in recipe.settings:
            raise UnknownNameError(f"setting of {name}", setting, recipe.settings)
        values[setting] = _of_type(name, setting, value, recipe.settings[setting])
    return replace(recipe, **values) if values else recipe


def default_settings(name: str) -> dict[str, Any]:
    """The settings that a recipe has unless they are changed; none for an unknown recipe."""
    return _RECIPES[name]().settings if name in _RECIPES else {}


def parse_settings(assignments: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Assignments such as ``mlp.max_epochs=50``, by recipe; values are JSON.

    Raises
    ------
    InvalidInputError
        If one has another form.
    UnknownNameError
        If it is of an unknown recipe.
    """
    found: dict[str, dict[str, Any]] = {}
    for assignment in assignments:
        left, equals, value = assignment.partition("=")
        name, dot, setting = left.strip().partition(".")
        if not (equals and dot and setting):
            raise InvalidInputError(
                f"a setting is PREDICTOR.NAME=VALUE, as mlp.max_epochs=50; got {assignment!r}"
            )
        if name not in _RECIPES:
            raise UnknownNameError("predictor", name, _RECIPES)
        try:
            found.setdefault(name, {})[setting] = json.loads(value)
        except (ValueError, RecursionError):
            found.setdefault(name, {})[setting] = value
    return found


def _of_type(name: str, setting: str, value: Any, default: Any) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(default, bool):
        fits = isinstance(value, bool)
    elif isinstance(default, int):
        fits = number and value == int(value) and value > 0
    elif isinstance(default, float):
        fits = number
    else:
        fits = default is None or isinstance(value, type(default))
    if not fits:
        raise InvalidInputError(f"setting {setting} of {name} is like {default!r}; got {value!r}")
    return tuple(value) if isinstance(value, list) else value
