"""Co-training: who is taught what by whom, and when it stops."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from train_silently import Silent

from benchmarks import co_training as benchmark
from featurestore.errors import InvalidInputError, MissingDataError
from train.cotraining import ITSELF, OTHER, Rules, Side, best_round, co_train
from train.predictors.base import Examples


@dataclass
class Line:
    """A ridge regression that is less sure the longer a row is; it notes what it learned from."""

    slope: np.ndarray
    stated: bool = True

    def predict(self, features):
        return features.astype(np.float64) @ self.slope

    def uncertainty(self, features):
        length = np.linalg.norm(features, axis=1).astype(np.float64)
        return SimpleNamespace(std=length) if self.stated else None


class Lines:
    def __init__(self, stated: bool = True) -> None:
        self.seen: list[Examples] = []
        self.stated = stated

    def fit(self, train, val, seed, progress):
        self.seen.append(train)
        x = train.features.astype(np.float64)
        slope = np.linalg.solve(x.T @ x + 0.1 * np.eye(x.shape[1]), x.T @ train.targets)
        return SimpleNamespace(predictor=Line(slope, self.stated))


def made_up(n_unlabelled: int = 60):
    random = np.random.default_rng(0)
    sizes = {"train": 12, "val": 30, "test": 30, "unlabelled": n_unlabelled}
    hidden = {fold: random.normal(size=(n, 4)) for fold, n in sizes.items()}
    turned = random.normal(size=(4, 4))
    sides = {
        "structure": Side(**{f: h.astype(np.float32) for f, h in hidden.items()}),
        "text": Side(**{f: (h @ turned).astype(np.float32) for f, h in hidden.items()}),
    }
    targets = {fold: h.sum(axis=1) for fold, h in hidden.items()}
    return sides, targets


def test_each_is_taught_what_the_other_is_sure_of_and_it_is_not():
    sides, targets = made_up()
    recipe = Lines()
    rounds = co_train(sides, targets, recipe, Rules(OTHER, 1, sure=0.25, share=0.5), 0, Silent())
    assert [one.number for one in rounds] == [0, 1] and rounds[1].labels == 2 * 6
    first_text, taught = recipe.seen[1], recipe.seen[2]
    assert len(taught) == 12 + 6 and len(first_text) == 12
    lengths = {name: np.linalg.norm(one.unlabelled, axis=1) for name, one in sides.items()}
    sure = lengths["text"] <= np.quantile(lengths["text"], 0.25)
    expected = [row for row in np.argsort(-lengths["structure"], kind="stable") if sure[row]][:6]
    np.testing.assert_array_equal(
        taught.features[12:], sides["structure"].unlabelled[sorted(expected)]
    )
    teacher = Lines().fit(first_text, None, 0, None).predictor
    np.testing.assert_allclose(
        taught.targets[12:], teacher.predict(sides["text"].unlabelled[sorted(expected)])
    )


def test_self_training_takes_what_a_model_is_surest_of():
    sides, targets = made_up()
    recipe = Lines()
    co_train(sides, targets, recipe, Rules(ITSELF, 1, sure=1.0, share=0.5), 0, Silent())
    shortest = np.argsort(np.linalg.norm(sides["structure"].unlabelled, axis=1), kind="stable")[:6]
    np.testing.assert_array_equal(
        recipe.seen[2].features[12:], sides["structure"].unlabelled[sorted(shortest)]
    )


def test_it_stops_when_the_validation_error_does_not_fall():
    sides, targets = made_up()

    class Spoilt(Lines):
        def fit(self, train, val, seed, progress):
            fitted = super().fit(train, val, seed, progress)
            fitted.predictor.slope = fitted.predictor.slope + 0.5 * (len(train) - 12)
            return fitted

    rounds = co_train(sides, targets, Spoilt(), Rules(rounds=5), 0, Silent())
    assert len(rounds) == 2 and best_round(rounds).number == 0
    assert rounds[1].val_mae > rounds[0].val_mae
    assert len(co_train(sides, targets, Lines(), Rules(rounds=0), 0, Silent())) == 1


def test_what_it_refuses():
    sides, targets = made_up(5)
    with pytest.raises(MissingDataError, match="5 materials without a target"):
        co_train(sides, targets, Lines(), Rules(), 0, Silent())
    sides, targets = made_up()
    with pytest.raises(InvalidInputError, match="how sure they are"):
        co_train(sides, targets, Lines(stated=False), Rules(), 0, Silent())
    with pytest.raises(InvalidInputError, match="the teacher is"):
        Rules("nobody")
    with pytest.raises(InvalidInputError, match="shares lie above 0"):
        Rules(sure=0.0)


def test_the_benchmark_compares_three_ways_with_the_known_labels(monkeypatch, tmp_path):
    sides, targets = made_up()
    monkeypatch.setattr(benchmark, "Ensemble", lambda **_: Lines())
    setting = benchmark.Setting(rounds=1, sure=0.5, share=0.5, epochs=1, members=1)
    found: dict[str, list[list[float]]] = {}
    for way in ("co-training", "self-training", "larger ensemble"):
        one = benchmark.measured(sides, targets, way, setting, 0)
        told, file = {"way": way}, tmp_path / f"{way}.json"
        benchmark.keep(file, told, one)
        assert benchmark.kept(file, told) == one
        assert benchmark.kept(file, {"way": way, "seed": 1}) is None
        assert one.rounds[0]["labels"] == 0 and one.rounds[0]["val"] >= 0
        assert min(each["both"] for each in one.rounds) <= np.mean(one.errors[way])
        for name, values in one.errors.items():
            found.setdefault(name, []).append(values)
    # A line learns the same whatever its size: the larger one is what the known labels teach.
    assert found["larger ensemble"] == found["known labels alone"]
    rows = benchmark.table({"Tc": found, "slme": found}).splitlines()
    assert len(rows) == 2 + 10 and rows[4].startswith("| Tc | larger ensemble | ")
    assert "| known labels alone |" in rows[4] and rows[4].endswith("| 0 (0 to 0) | 1 |")
    assert [row.split(" | ")[1:4:2] for row in rows[5:7]] == [
        ["co-training", "self-training"],
        ["co-training", "larger ensemble"],
    ]
