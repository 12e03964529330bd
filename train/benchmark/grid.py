"""Which models a benchmark consists of: properties × feature sets × predictors × seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from featurestore.errors import InvalidInputError
from featurestore.views.request import FEATURES, GRAPH, ViewRequest
from train.predictors.assignments import check_changes
from train.predictors.base import Recipe
from train.predictors.registry import make_recipe, predictor_part, reads

#: As a predictor: boosted trees on the vectors of the structure encoder of that name.
MATMINER = "matminer"


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
        if reads(self.predictor) == "nothing":
            return "none"
        if r.features == GRAPH:
            return GRAPH
        if r.feature_set is not None:
            return r.feature_set
        features, parts = str(r.features), []
        if "structure" in features:
            parts.append(str(r.structure_encoder))
        if "text" in features:
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
        Recipes, or ``matminer``; those that read structures, or nothing, are not combined with
        features. The first that takes vectors is what the others are compared with.
    seeds : tuple of int
        Of each model; constants have none.
    changes : mapping
        For each recipe the settings in which it departs from its defaults.
    property_source : str, optional
        Where the targets have several.
    feature_sets : tuple of str
        Stored feature sets, beside those that the encoders make.
    reference_set : str, optional
        The feature set with which the others are compared; by default the first.
    where : str, optional
        Only materials for which this SQL condition holds.
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
    feature_sets: tuple[str, ...] = ()
    reference_set: str | None = None
    where: str | None = None

    def __post_init__(self) -> None:
        for name in self.predictors:
            check_changes(self.recipe_name(name), self.changes.get(self.recipe_name(name), {}))
        unused = set(self.changes) - {self.recipe_name(name) for name in self.predictors}
        if unused:
            raise InvalidInputError(
                f"settings are given for {', '.join(sorted(unused))}, which is not a --predictor "
                "of this benchmark"
            )
        if self._combined and not self._feature_sets():
            raise InvalidInputError(
                "no features: name a --structure-encoder, a --text source and a --text-encoder, or "
                "a --feature-set"
            )
        if self.reference_set is not None and self.reference_set not in self.feature_sets:
            raise InvalidInputError(
                f"the reference {self.reference_set!r} is no --feature-set of this benchmark: "
                f"{', '.join(self.feature_sets) or 'there is none'}"
            )

    @staticmethod
    def recipe_name(predictor: str) -> str:
        """The recipe behind a predictor's name."""
        return "gbt" if predictor == MATMINER else predictor

    def recipe(self, name: str, classes: bool) -> Recipe:
        """The recipe of that name with this benchmark's settings, for numbers or classes."""
        return make_recipe(name, self.changes.get(name), classes=classes)

    @property
    def reference_predictor(self) -> str | None:
        """The recipe with which others are compared on the same features; None if there is none."""
        return next(iter(self._combined), None)

    @property
    def compared_with(self) -> str | None:
        """The feature set with which the others are compared; None if there is none."""
        return self.reference_set or next(iter(self.feature_sets), None)

    @property
    def _combined(self) -> list[str]:
        return [name for name in self._that_read("vectors") if name != MATMINER]

    def _that_read(self, what: str) -> list[str]:
        return [
            name for name in self.predictors if predictor_part(self.recipe_name(name)).reads == what
        ]

    def cells(self, property_name: str) -> list[Cell]:
        """The models of one property."""
        return list(dict.fromkeys(self._cells(property_name)))

    def _cells(self, property_name: str) -> Iterator[Cell]:
        asked = ViewRequest(
            property_name,
            split=self.split,
            property_source=self.property_source,
            where=self.where,
        )
        sets = [replace(asked, **choice) for choice in self._feature_sets()]
        matminer = replace(asked, features="structure", structure_encoder=MATMINER)
        graph = replace(asked, features=GRAPH)
        # What costs nothing first, then a feature set at a time: its vectors are read once.
        for name in self._that_read("nothing"):
            yield Cell((sets or [graph])[0], name, 0)
        if MATMINER in self.predictors:
            yield from (Cell(matminer, "gbt", seed) for seed in self.seeds)
        for name, seed in product(self._that_read("structures"), self.seeds):
            yield Cell(graph, name, seed)
        for request, name, seed in product(sets, self._combined, self.seeds):
            yield Cell(request, name, seed)

    def _feature_sets(self) -> list[dict[str, Any]]:
        """The fields of a request that name its features."""
        sets: list[dict[str, Any]] = [{"feature_set": name} for name in self.feature_sets]
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
