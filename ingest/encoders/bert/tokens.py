"""From a text to token ids, in one pass, with the checks that a tokenizer fits its model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featurestore.errors import InvalidInputError
from featurestore.files import check_regular
from featurestore.texts.variants import MASK

TOKENIZER_FILES = (
    "vocab.txt",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)

_PROBE = (
    "NaCl crystallizes in the cubic Fm-3m space group. Na is bonded to six equivalent Cl atoms to "
    "form a mixture of edge and corner-sharing octahedra. All bond lengths are 2.82 Å."
)
_MOST_UNKNOWN = 0.5

# Models pad their embedding to a multiple of up to 128 rows; a larger gap is another vocabulary.
_PADDING_ROWS = 128

# All that transformers may open beside a tokenizer.
_READ_BY_TRANSFORMERS = (
    *("vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
    *("added_tokens.json", "chat_template.json", "chat_template.jinja", "config.json"),
)
_MOST_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Tokens:
    """The tokens of one text.

    Parameters
    ----------
    ids : list of int
        Token ids as the model gets them, special tokens included, truncated.
    special : list of int
        1 where ``ids`` has a special token, else 0.
    n_tokens : int
        Number of tokens before truncation.
    n_unknown : int
        How many tokens of ``ids`` are the unknown token.
    """

    ids: list[int]
    special: list[int]
    n_tokens: int
    n_unknown: int

    @property
    def truncated(self) -> bool:
        """Whether tokens were cut off."""
        return self.n_tokens > len(self.ids)

    @property
    def mostly_unknown(self) -> bool:
        """Whether more than half of the tokens, special ones aside, are unknown."""
        n_words = len(self.ids) - sum(self.special)
        return self.n_unknown > _MOST_UNKNOWN * n_words


class Tokenizer:
    """A model's own tokenizer, which keeps the first ``max_tokens`` tokens of a text.

    Parameters
    ----------
    folder : Path
        Folder with ``vocab.txt`` or ``tokenizer.json``, and ``config.json``.
    config : transformers.PretrainedConfig
        The model's configuration: its family and the number of rows of its embedding.
    max_tokens : int
        Special tokens included.
    probe : bool
        Whether it must know the words of a crystal description.

    Raises
    ------
    InvalidInputError
        If there is no usable tokenizer, if its vocabulary is not the model's, or if it knows
        hardly a word of a crystal description.
    """

    def __init__(self, folder: Path, config: Any, max_tokens: int, *, probe: bool = True) -> None:
        loaded = _loaded(folder, config)
        self.pad_id: int = loaded.pad_token_id or 0
        self._mask: str | None = loaded.mask_token
        self._unknown_id: int | None = loaded.unk_token_id
        self._backend = loaded.backend_tokenizer
        # Files may carry settings of their own: all-MiniLM's pads and cuts to 128 tokens.
        self._backend.no_padding()
        self._backend.no_truncation()
        self._n_words = max_tokens - self._backend.num_special_tokens_to_add(False)
        self._check(folder, config.vocab_size, probe)

    @property
    def can_mask(self) -> bool:
        """Whether the model has a mask token."""
        return self._mask is not None

    @property
    def vocabulary_size(self) -> int:
        """Number of tokens that it knows."""
        return int(self._backend.get_vocab_size(with_added_tokens=True))

    @property
    def mask_id(self) -> int:
        """Id of the mask token.

        Raises
        ------
        InvalidInputError
            If the model has none.
        """
        if self._mask is None:
            raise InvalidInputError("the tokenizer has no mask token: nothing can be masked")
        return int(self._backend.token_to_id(self._mask))

    def words(self, text: str) -> list[str]:
        """The words of a text as it is cut before each is looked up, normalised."""
        normaliser, cutter = self._backend.normalizer, self._backend.pre_tokenizer
        shaped = text if normaliser is None else normaliser.normalize_str(text)
        if cutter is None:
            return shaped.split()
        return [word for word, _ in cutter.pre_tokenize_str(shaped)]

    def knows_whole(self, word: str) -> bool:
        """Whether a word, normalised, is a token."""
        return self._backend.token_to_id(word) is not None

    def digits_kept(self, texts: Sequence[str]) -> float:
        """Share of the texts' digits that stand in a token other than the unknown one."""
        there = kept = 0
        for text, encoding in zip(
            texts, self._backend.encode_batch(list(texts), add_special_tokens=False), strict=True
        ):
            places = {place for place, character in enumerate(text) if character.isdigit()}
            there += len(places)
            for token, (start, stop) in zip(encoding.ids, encoding.offsets, strict=True):
                if token != self._unknown_id:
                    kept += len(places.intersection(range(start, stop)))
        return kept / there if there else 1.0

    def __call__(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokens of each text, in order; ``[MASK]`` in it becomes the model's mask token."""
        if self._mask is not None and self._mask != MASK:
            texts = [text.replace(MASK, self._mask) for text in texts]
        encodings = self._backend.encode_batch(list(texts), add_special_tokens=False)
        return [self._finish(encoding) for encoding in encodings]

    def _finish(self, encoding: Any) -> Tokens:
        n_words = len(encoding.ids)
        encoding.truncate(self._n_words)
        whole = self._backend.post_process(encoding, None, True)
        return Tokens(
            ids=whole.ids,
            special=whole.special_tokens_mask,
            n_tokens=n_words + len(whole.ids) - len(encoding.ids),
            n_unknown=whole.ids.count(self._unknown_id),
        )

    def _check(self, folder: Path, n_embeddings: int, probe: bool) -> None:
        n_vocabulary = self._backend.get_vocab_size(with_added_tokens=True)
        if not 0 <= n_embeddings - n_vocabulary < _PADDING_ROWS:
            raise InvalidInputError(
                f"the tokenizer in {folder} does not match its model: it has {n_vocabulary} "
                f"tokens, the model's embedding {n_embeddings} rows; use the tokenizer files that "
                "were published with the weights"
            )
        if not probe:
            return
        [found] = self([_PROBE])
        if found.mostly_unknown:
            raise InvalidInputError(
                f"the tokenizer in {folder} does not know most words of a crystal description "
                f"({found.n_unknown} of {len(found.ids)} tokens are unknown): its vocabulary is "
                "incomplete, or made for another language"
            )


def vocabulary_of(folder: Path) -> tuple[int, int]:
    """How many tokens the tokenizer in a folder knows, and the id of the one that pads.

    Raises
    ------
    InvalidInputError
        If there is no usable tokenizer.
    """
    loaded = _loaded(folder, None)
    return loaded.backend_tokenizer.get_vocab_size(with_added_tokens=True), loaded.pad_token_id or 0


def _loaded(folder: Path, config: Any) -> Any:
    """The tokenizer as transformers reads it."""
    from transformers import AutoTokenizer

    if not any((folder / name).is_file() for name in ("vocab.txt", "tokenizer.json")):
        raise InvalidInputError(f"{folder} has neither vocab.txt nor tokenizer.json")
    for name in _READ_BY_TRANSFORMERS:
        if os.path.lexists(folder / name):
            check_regular(folder / name, _MOST_BYTES)
    try:
        # Not the class's constructor: in transformers 5 BertTokenizerFast(vocab_file=…)
        # silently builds a vocabulary of five tokens.
        return AutoTokenizer.from_pretrained(folder, config=config, local_files_only=True)
    # The tokenizers library raises bare Exception for a damaged file.
    except Exception as error:
        raise InvalidInputError(f"the tokenizer in {folder} cannot be read: {error}") from error
