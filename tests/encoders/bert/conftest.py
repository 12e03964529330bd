"""Tiny models on disk, and the plain forward pass that the encoder is compared with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_bert import write_tiny_bert

PlainForward = Callable[..., np.ndarray]


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory) -> Path:
    return write_tiny_bert(tmp_path_factory.mktemp("tiny-bert"))


@pytest.fixture(scope="session")
def tiny_mpnet_folder(tmp_path_factory) -> Path:
    """An MPNet as transformers itself saves it."""
    import torch
    from tiny_bert import vocabulary
    from transformers import MPNetConfig, MPNetModel

    folder = tmp_path_factory.mktemp("tiny-mpnet")
    special = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"]
    tokens = special + [token for token in vocabulary() if not token.startswith("[P")][4:]
    tokens = list(dict.fromkeys(tokens))
    config = MPNetConfig(
        vocab_size=len(tokens),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=514,
        initializer_range=0.2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        MPNetModel(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def plain_forward() -> PlainForward:
    """The reference: transformers' own classes, one text at a time, mean over all tokens."""

    def forward(folder: Path, text: str, layer: int = -1, max_tokens: int = 512) -> np.ndarray:
        import torch
        from transformers import AutoModel, AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
        inputs = tokenizer(
            text, truncation=True, max_length=max_tokens, padding=False, return_tensors="pt"
        )
        with torch.no_grad():
            output = model(**inputs, output_hidden_states=True)
        return output.hidden_states[layer][0].mean(dim=0).numpy()

    return forward
