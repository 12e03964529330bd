"""Models of the BERT family that no folder holds yet: small new ones, and ones with more words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from featurestore.errors import InvalidInputError
from featurestore.files import read_json
from featurestore.output.rows import atomic_path
from ingest.encoders.bert.model import Transformer, built
from ingest.encoders.bert.tokens import TOKENIZER_FILES, Tokenizer

_WORDS = "embeddings.word_embeddings.weight"


@dataclass(frozen=True)
class Sizes:
    """Of a new BERT.

    Parameters
    ----------
    layers, hidden, heads : int
        Hidden values are ``hidden`` wide, between the layers four times as wide.
    positions : int
        The longest text, in tokens.
    dropout : float
        Of hidden values and of attention, while it is trained.
    """

    layers: int = 4
    hidden: int = 256
    heads: int = 4
    positions: int = 512
    dropout: float = 0.1

    def config(self, vocabulary: int, pad_id: int) -> dict[str, Any]:
        """As in ``config.json``."""
        return {
            "architectures": ["BertModel"],
            "model_type": "bert",
            "hidden_size": self.hidden,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "intermediate_size": 4 * self.hidden,
            "max_position_embeddings": self.positions,
            "hidden_dropout_prob": self.dropout,
            "attention_probs_dropout_prob": self.dropout,
            "vocab_size": vocabulary,
            "pad_token_id": pad_id,
        }


def new_transformer(sizes: Sizes, vocabulary: int, pad_id: int, seed: int) -> Transformer:
    """A BERT with random weights.

    Raises
    ------
    InvalidInputError
        If the sizes do not fit each other.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            return built(sizes.config(vocabulary, pad_id))
        except InvalidInputError as error:
            raise InvalidInputError(f"no BERT has the sizes {asdict(sizes)}: {error}") from error


def enlarge(transformer: Transformer, tokenizer: Tokenizer, words: Sequence[str]) -> Transformer:
    """The model with an embedding for each further word, the mean of those of its pieces.

    Parameters
    ----------
    tokenizer : Tokenizer
        The model's own, which does not have the words yet.
    words : sequence of str
        As the tokenizer's normalisation leaves them; their ids follow the last one in use.
    """
    module = transformer.module
    state = dict(module.state_dict())
    old = state[_WORDS]
    rows = []
    for tokens in tokenizer(words):
        pieces = [
            one for one, special in zip(tokens.ids, tokens.special, strict=True) if not special
        ]
        rows.append(old[pieces].mean(dim=0))
    n = tokenizer.vocabulary_size
    # Some models have more rows than words, to pad: the words' rows come before them.
    state[_WORDS] = torch.cat([old[:n], torch.stack(rows)]) if rows else old[:n]
    config = {**transformer.config.to_dict(), "vocab_size": len(state[_WORDS])}
    larger = built(config)
    larger.module.load_state_dict(state, strict=False)
    return replace(larger, max_positions=transformer.max_positions)


def write_enlarged_tokenizer(base: Path, folder: Path, words: Sequence[str], size: int) -> None:
    """Copy the tokenizer's files with the words added to its WordPiece vocabulary.

    Raises
    ------
    InvalidInputError
        If the base has no tokenizer.json of WordPiece to add to.
    """
    path = base / "tokenizer.json"
    told = read_json(path, most=256 * 2**20) if path.is_file() else {}
    model = told.get("model") if isinstance(told, Mapping) else None
    if not isinstance(model, dict) or model.get("type", "WordPiece") != "WordPiece":
        raise InvalidInputError(f"{base} has no tokenizer.json of WordPiece to add words to")
    model["vocab"] |= {word: size + place for place, word in enumerate(words)}
    folder.mkdir(parents=True, exist_ok=True)
    for name in TOKENIZER_FILES:
        if name == "vocab.txt" or not (base / name).is_file():
            continue  # tokenizer.json says all that vocab.txt would
        content = (base / name).read_bytes()
        if name == "tokenizer.json":
            content = json.dumps(told, ensure_ascii=False).encode()
        with atomic_path(folder / name) as temporary:
            temporary.write_bytes(content)
