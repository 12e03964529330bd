"""Real weights from the package index, against a plain forward pass."""

from __future__ import annotations

import numpy as np
import pytest

from ingest.encoders.bert.encoder import load_bert_encoder
from ingest.weights.cache import find_weights

TEXT = (
    "LiCeO₂ crystallizes in the monoclinic P2_1/c space group. Li(1) is bonded to four O(1) atoms "
    "to form distorted corner-sharing LiO₄ tetrahedra. All Ce(1)-O(1) bond lengths are 2.31 Å. "
)


@pytest.mark.weights
@pytest.mark.parametrize(("name", "dimension"), [("minilm", 384), ("mpnet", 768)])
def test_pulled_weights_equal_a_plain_forward(name, dimension, plain_forward):
    folder = find_weights(name)
    if folder is None:
        pytest.skip(f"run `featurestore models pull {name}`")
    encoder = load_bert_encoder(name, name=name)
    texts = [TEXT, TEXT * 12, ""]
    for text, result in zip(texts, encoder.encode(texts), strict=True):
        assert result.vector.shape == (dimension,)
        np.testing.assert_allclose(result.vector, plain_forward(folder, text), atol=5e-6)
