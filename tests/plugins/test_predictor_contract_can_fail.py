"""Each test of the predictors' contract fails for a predictor that breaks just that rule."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from safetensors.numpy import load, save

from featurestore.plugins import Setting
from featurestore.testing import PredictorContract
from train.predictors.base import Epoch, Fitted, OnVectors
from train.predictors.registry import PredictorPart
from train.predictors.uncertainty import Calibration, Uncertainty


@dataclass(frozen=True)
class Line(OnVectors):
    """A linear model; ``habit`` of its class says how it goes wrong."""

    weights: Any
    habit: ClassVar[str] = ""

    @property
    def n_features(self) -> int:
        return len(self.weights) - (self.habit != "wide")

    def predict(self, features: Any) -> Any:
        found = np.column_stack([features, np.ones(len(features))]) @ self.weights
        if self.habit == "single":
            return found.astype(np.float32)
        return found - found.mean() if self.habit == "centres" else found

    def uncertainty(self, features: Any) -> Uncertainty | None:
        scales = np.zeros(len(features)) if self.habit == "sure" else np.ones(len(features))
        return Calibration(1.0, (1.0, 2.0, 3.0))(scales)

    def to_bytes(self) -> bytes:
        if self.habit == "pickles":
            return pickle.dumps(self.weights)
        kept = self.weights.astype(np.float16) if self.habit == "rounds" else self.weights
        return bytes(save({"weights": kept.astype(np.float64)}))


@dataclass(frozen=True)
class Fit(OnVectors):
    made: type[Line]
    ridge: float = 0.0
    name: str = "line"
    max_epochs: int = 1

    turns: ClassVar[Any] = count()

    @property
    def settings(self) -> dict[str, Any]:
        habit = self.made.habit
        if habit == "keeps quiet":
            return {}
        return {"ridge": (self.ridge,) if habit == "tuple" else self.ridge}

    def fit(self, train: Any, val: Any, seed: int, progress: Any) -> Fitted:
        x = np.column_stack([train.features, np.ones(len(train))]).astype(np.float64)
        found = np.linalg.solve(x.T @ x + self.ridge * np.eye(x.shape[1]), x.T @ train.targets)
        if self.made.habit == "by chance":
            found = found + next(self.turns)
        progress.update(3 if self.made.habit == "hasty" else 1)
        return Fitted(self.made(found), [Epoch(1, 0.0, 0.0)], 1)


def part(made: type[Line]) -> PredictorPart:
    def restore(settings: Any, weights: bytes) -> Line:
        if made.habit == "pickles":
            return made(pickle.loads(weights))
        return made(load(weights)["weights"])

    return PredictorPart(
        name="line",
        summary="A line.",
        licence="MIT",
        make=lambda request: Fit(made, **request.settings),
        restore=restore,
        settings=(Setting("ridge", float, 0.0, "Of the weights."),),
    )


def run(made: type[Line], test: str, folder: Path) -> None:
    contract, tested = PredictorContract(), part(made)

    def build(**more: Any) -> Any:
        return tested.complete(more).build(more)

    def fit(seed: int = 0, **more: Any) -> Any:
        from featurestore.testing.predictors import Steps

        return build(**more).fit(*contract.examples(), seed, Steps())

    function: Callable[..., None] = getattr(contract, test)
    names = function.__code__.co_varnames[1 : function.__code__.co_argcount]
    fixtures = {"part": tested, "build": build, "fit": fit, "tmp_path": folder}
    function(**{name: fixtures[name] for name in names})


TESTS = [name for name in dir(PredictorContract) if name.startswith("test_")]


@pytest.mark.parametrize("test", TESTS)
def test_a_sound_predictor_passes(test: str, tmp_path: Path) -> None:
    run(Line, test, tmp_path)


@pytest.mark.parametrize(
    ("habit", "test"),
    [
        ("tuple", "test_the_recipe_has_the_parts_name_and_settings_that_json_holds"),
        ("keeps quiet", "test_the_fingerprint_changes_with_each_setting_that_matters"),
        ("by chance", "test_the_same_seed_gives_the_same_bytes"),
        ("rounds", "test_predictions_survive_the_bytes_to_the_bit"),
        ("pickles", "test_predictions_survive_the_bytes_to_the_bit"),
        ("pickles", "test_other_bytes_are_refused_and_never_executed"),
        ("single", "test_one_finite_prediction_for_each_row"),
        ("centres", "test_order_and_company_do_not_matter"),
        ("wide", "test_it_knows_the_width_that_it_takes"),
        ("sure", "test_uncertainty_is_positive_and_wider_at_higher_levels"),
        ("hasty", "test_the_history_and_the_progress_agree"),
    ],
)
def test_a_predictor_that_breaks_a_rule_fails_its_test(
    habit: str, test: str, tmp_path: Path
) -> None:
    with pytest.raises((Exception, pytest.fail.Exception)):
        run(type("Broken", (Line,), {"habit": habit}), test, tmp_path)


def test_further_settings_are_checked_like_the_others() -> None:
    more = replace(part(Line), further=lambda own: (Setting("depth", int, 1, "Of it."),))
    assert more.parsed(["ridge=1", "depth=2"]) == {"ridge": 1.0, "depth": 2}
