"""A store whose structure vectors follow from what a tiny BERT makes of the texts."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import synthetic_store as toy

from featurestore.identity import text_id
from featurestore.store import FeatureStore
from ingest.encoders.load import load_encoder
from ingest.library.vectors import encode

N, DESCRIBED, WIDTH = 90, 80, 12
TOLD = "told_0000000009"
WORDS = ("cubic", "layered", "long", "short", "sharing", "edge", "corner", "bonded", "linear")


def text_of(index: int) -> str:
    """Another text for each material, of words that the tiny tokenizer has."""
    digits = np.base_repr(index + 200, len(WORDS))
    return " ".join(f"the bond is {WORDS[int(digit)]}" for digit in digits)


def make_told_store(folder: Path, tiny_folder: Path) -> FeatureStore:
    """Ninety materials with structure vectors, eighty of them described."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toy, "sentences", lambda index, source: [("summary", text_of(index))])
        store = toy.make_store(folder, N, with_text=DESCRIBED)
    encode(store, str(tiny_folder), "robocrystallographer")
    encoder = load_encoder(str(tiny_folder))
    vectors = np.stack([one.vector for one in encoder.encode([text_of(i) for i in range(N)])])
    vectors = (vectors - vectors.mean(axis=0)) / vectors.std(axis=0)
    turned = vectors @ np.random.default_rng(0).normal(size=(vectors.shape[1], WIDTH))
    row = {
        "encoder_id": TOLD,
        "name": "told",
        "kind": "structure",
        "dimension": WIDTH,
        "segments": [{"name": "all", "start": 0, "stop": WIDTH}],
        "fingerprint": "{}",
        "created_at": datetime.now(UTC),
        "run_id": "toy-run",
    }
    store.merge_rows("encoders", [row])
    told = {f"structure-{i}": turned[i].astype(np.float32) for i in range(N)}
    toy._merge_vectors(store, "structure", TOLD, "structure_id", told)
    assert len({text_id(text_of(i)) for i in range(N)}) == N
    return store
