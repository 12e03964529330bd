"""A text encoder that counts words and a linear model of the counts: every effect is a sum."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import synthetic_store as toy
from made_up_package import install

from featurestore.identity import text_id
from featurestore.output.progress import Progress
from featurestore.plugins import PREDICTORS
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from featurestore.texts.variants import MASK, words_of
from ingest.encoders.base import EncoderSpec, Segment, TextVector
from ingest.pipeline.outcome import Outcome
from ingest.stages.embeddings import ingest_text_embeddings
from ingest.stages.selection import Selection
from train.models import StoredModel
from train.predictors.base import Epoch, Examples, Fitted, OnVectors
from train.predictors.registry import PredictorPart
from train.training import train_model

WIDTH = 24
NAME = "bag-of-words"
SOURCE = "robocrystallographer"
#: Texts with more words count as cut; their vectors are whole all the same.
LONGEST = 14


def counts(text: str) -> npt.NDArray[np.float32]:
    """How often words of each of WIDTH - 1 kinds occur, masks aside, and a one: shape (WIDTH,)."""
    vector = np.zeros(WIDTH, np.float32)
    for word in words_of(text):
        if word != MASK:
            vector[int(text_id(word)[:8], 16) % (WIDTH - 1)] += 1
    vector[-1] = 1
    return vector


class BagOfWords:
    """The encoder; ``encoded`` lists every text it was given."""

    def __init__(self) -> None:
        self.spec = EncoderSpec(NAME, "text", WIDTH, (Segment("text", 0, WIDTH),), {"bag": WIDTH})
        self.encoded: list[str] = []

    def encode(self, texts: Sequence[str]) -> list[TextVector]:
        self.encoded += texts
        return [
            TextVector(counts(text), len(words_of(text)), len(words_of(text)) > LONGEST)
            for text in texts
        ]


@dataclass(frozen=True)
class FixedLinear(OnVectors):
    """A recipe and its predictor: weights that nothing has to learn, moved by the seed."""

    seed: int = 0

    name = "fixed-linear"
    max_epochs = 1
    settings: Mapping[str, Any] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", {})

    @property
    def n_features(self) -> int:
        return toy.STRUCTURE_WIDTH + WIDTH

    @property
    def weights(self) -> npt.NDArray[np.float64]:
        return np.random.default_rng(self.seed).normal(size=self.n_features)

    def fit(self, train: Examples, val: Examples, seed: int, progress: Progress) -> Fitted:
        progress.update()
        return Fitted(FixedLinear(seed), [Epoch(1, 0.0, 0.0)], 1)

    def predict(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        return features.astype(np.float64) @ self.weights

    def to_bytes(self) -> bytes:
        return json.dumps(self.seed).encode()

    @classmethod
    def from_bytes(cls, settings: Any, weights: bytes) -> FixedLinear:
        return cls(json.loads(weights))


PART = PredictorPart(
    name="fixed-linear",
    summary="Given weights, for tests.",
    make=lambda request: FixedLinear(),
    restore=FixedLinear.from_bytes,
    licence="MIT",
)


def register(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let stored models of it be loaded, as if a package in the folder had been installed."""
    install(
        folder,
        "toy-fixed-linear",
        entry_points={PREDICTORS: {"fixed-linear": "bag_of_words:PART"}},
        modules={},
    )
    monkeypatch.syspath_prepend(folder)


def embed(
    store: FeatureStore, variants: Sequence[str], selection: Selection | None = None
) -> tuple[BagOfWords, Outcome]:
    """Ingest the vectors of text variants."""
    encoder = BagOfWords()
    outcome = ingest_text_embeddings(
        store,
        encoder,
        source=SOURCE,
        variants=variants,
        selection=selection or Selection(),
        retry_failures=False,
        run=Run("toy-run"),
    )
    return encoder, outcome


@cache
def trained(store: FeatureStore, seed: int = 0) -> StoredModel:
    """A stored model of structure and full text."""
    view = store.training_view(
        toy.PROPERTY,
        structure_encoder="toy-graph",
        text_source=SOURCE,
        text_encoder=NAME,
        split=toy.SPLIT,
    )
    return train_model(store, view, FixedLinear(), seed).model
