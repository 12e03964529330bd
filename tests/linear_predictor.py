"""A linear predictor by least squares, so that every explanation has a closed form."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from made_up_package import install

from featurestore.output.progress import Progress
from featurestore.plugins import PREDICTORS, Setting
from train.predictors.base import Epoch, Examples, Fitted, OnVectors
from train.predictors.registry import PredictorPart


@dataclass(frozen=True)
class LinearPredictor(OnVectors):
    weights: npt.NDArray[np.float64]
    intercept: float

    @property
    def n_features(self) -> int:
        return len(self.weights)

    def predict(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        return features.astype(np.float64) @ self.weights + self.intercept

    def to_bytes(self) -> bytes:
        return json.dumps([self.weights.tolist(), self.intercept]).encode()

    @classmethod
    def from_bytes(cls, settings: Any, weights: bytes) -> LinearPredictor:
        values, intercept = json.loads(weights)
        return cls(np.array(values), intercept)


@dataclass(frozen=True)
class Linear(OnVectors):
    """Least squares; ``shift`` is added to the weights times the seed, so that seeds differ."""

    shift: float = 0.0

    name = "linear"
    max_epochs = 1

    @property
    def settings(self) -> dict[str, Any]:
        return {"shift": self.shift}

    def fit(self, train: Examples, val: Examples, seed: int, progress: Progress) -> Fitted:
        x = np.column_stack([train.features.astype(np.float64), np.ones(len(train))])
        solution = np.linalg.lstsq(x, train.targets, rcond=None)[0]
        predictor = LinearPredictor(solution[:-1] + self.shift * seed, float(solution[-1]))
        progress.update()
        return Fitted(predictor, [Epoch(1, 0.0, 0.0)], 1)


PART = PredictorPart(
    name="linear",
    summary="Least squares, for tests.",
    make=lambda request: Linear(**request.settings),
    restore=LinearPredictor.from_bytes,
    licence="MIT",
    settings=(Setting("shift", float, 0.0, "Added to the weights times the seed."),),
)


def register(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let stored models of it be loaded, as if a package in the folder had been installed."""
    install(
        folder,
        "toy-linear",
        entry_points={PREDICTORS: {"linear": "linear_predictor:PART"}},
        modules={},
    )
    monkeypatch.syspath_prepend(folder)
