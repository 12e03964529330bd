"""Which models a benchmark consists of: properties × feature sets × predictors × seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from featurestore.errors import InvalidInputError
from featurestore.views.request import FEATURES, GRAPH, ViewRequest
from train.predictors.base import Recipe
from train.predictors.registry import CONSTANTS, make_recipe

#: As a predictor: boosted trees on the vectors of the structure encoder of that name.
MATMINER = "matminer"
#: As a predictor: ALIGNN trained from scratch, which reads the structures and no vectors.
ALIGNN = "alignn"
#: Predictors that are not combined with the feature sets.
_WITH_INPUTS_OF_THEIR_OWN = (*CONSTANTS, MATMINER, ALIGNN)


@dataclass(frozen=True)
class Cell:
    """One model of a benchmark.

    Parameters
    ----------
    request : ViewRequest
        Its training view.
    predictor : str
        Name of its recipe.
    seed : int
        Of everything random.
    """

    request: ViewRequest
    predictor: str
    seed: int

    @property
    def features_label(self) -> str:
        """What the predictor looks at, in words; ``none`` for a constant."""
        r = self.request
        if self.predictor in CONSTANTS:
            return "none"
        if r.features == GRAPH:
            return GRAPH
        parts = []
        if "structure" in r.features:
            parts.append(str(r.structure_encoder))
        if "text" in r.features:
            parts.append(f"{r.text_source}/{r.text_encoder}")
        return " + ".join(parts)

    def __str__(self) -> str:
        return f"{self.request.property}, {self.features_label}, {self.predictor}, seed {self.seed}"


@dataclass(frozen=True)
class Grid:
    """What a benchmark is to compare.

    Parameters
    ----------
    properties : tuple of str
        What to predict.
    split : str
        Gives the folds.
    features : tuple of str
        Of ``structure``, ``text`` and ``structure+text``; empty for all that the encoders allow.
    text_sources, structure_encoders, text_encoders : tuple of str
        Every combination is a feature set.
    predictors : tuple of str
        Recipes, or ``matminer``; ``alignn`` reads the structures. The first that takes vectors is
        what the others are compared with.
    seeds : tuple of int
        Of each model; constants have none.
    changes : mapping
        For each recipe the settings in which it departs from its defaults.
    property_source : str, optional
        Where the targets have several.
    """

    properties: tuple[str, ...]
    split: str
    features: tuple[str, ...]
    text_sources: tuple[str, ...]
    structure_encoders: tuple[str, ...]
    text_encoders: tuple[str, ...]
    predictors: tuple[str, ...]
    seeds: tuple[int, ...]
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    property_source: str | None = None

    def __post_init__(self) -> None:
        for name in self.predictors:
            self.recipe(self.recipe_name(name))
        unused = set(self.changes) - {self.recipe_name(name) for name in self.predictors}
        if unused:
            raise InvalidInputError(
                f"settings are given for {', '.join(sorted(unused))}, which is not a --predictor "
                "of this benchmark"
            )
        if self._combined and not self._feature_sets():
            raise InvalidInputError(
                "no feature set: name a --structure-encoder, or a --text source and a "
                "--text-encoder"
            )

    @staticmethod
    def recipe_name(predictor: str) -> str:
        """The recipe behind a predictor's name."""
        return "gbt" if predictor == MATMINER else predictor

    def recipe(self, name: str) -> Recipe:
        """The recipe of that name with this benchmark's settings."""
        return make_recipe(name, self.changes.get(name))

    @property
    def reference_predictor(self) -> str | None:
        """The recipe with which others are compared on the same features; None if there is none."""
        return next(iter(self._combined), None)

    @property
    def _combined(self) -> list[str]:
        return [name for name in self.predictors if name not in _WITH_INPUTS_OF_THEIR_OWN]

    def cells(self, property_name: str) -> list[Cell]:
        """The models of one property."""
        return list(dict.fromkeys(self._cells(property_name)))

    def _cells(self, property_name: str) -> Iterator[Cell]:
        sets = [
            ViewRequest(property_name, split=self.split, property_source=self.property_source, **s)
            for s in self._feature_sets()
        ]
        matminer, graph = (
            ViewRequest(
                property_name,
                features,
                structure_encoder=encoder,
                split=self.split,
                property_source=self.property_source,
            )
            for features, encoder in (("structure", MATMINER), (GRAPH, None))
        )
        # What costs nothing first, then a feature set at a time: its vectors are read once.
        for name in self.predictors:
            if name in CONSTANTS:
                yield Cell((sets or [graph])[0], name, 0)
        if MATMINER in self.predictors:
            yield from (Cell(matminer, "gbt", seed) for seed in self.seeds)
        if ALIGNN in self.predictors:
            yield from (Cell(graph, ALIGNN, seed) for seed in self.seeds)
        for request, name, seed in product(sets, self._combined, self.seeds):
            yield Cell(request, name, seed)

    def _feature_sets(self) -> list[dict[str, str]]:
        sets: list[dict[str, str]] = []
        for features in self.features or FEATURES:
            choices: list[list[dict[str, str]]] = []
            if "structure" in features:
                choices.append([{"structure_encoder": name} for name in self.structure_encoders])
            if "text" in features:
                choices.append([{"text_source": name} for name in self.text_sources])
                choices.append([{"text_encoder": name} for name in self.text_encoders])
            found = [
                {"features": features, **{k: v for part in parts for k, v in part.items()}}
                for parts in product(*choices)
            ]
            if not found and features in self.features:
                raise InvalidInputError(
                    f"features {features!r} need "
                    + " and ".join(
                        option
                        for option, given in (
                            ("--structure-encoder", self.structure_encoders),
                            ("--text", self.text_sources),
                            ("--text-encoder", self.text_encoders),
                        )
                        if not given and ("structure" in option) == ("structure" in features)
                    )
                )
            sets += found
        return sets
