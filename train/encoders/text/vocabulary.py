"""Tokenizers of a store's sentences: trained anew, or another's with more words; and their report.

New ones keep the case, since Co is no CO; cut formulas into elements, which WordPiece would cut
where it happens to know pieces; and give each digit a token of its own. Compact ones spend fewer
tokens: a number is one word, a phrase that the texts repeat one token, and a comma none.
"""

from __future__ import annotations

import json
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.output.rows import atomic_path
from ingest.encoders.bert.numbers import NumberForm
from ingest.encoders.bert.phrases import frequent_phrases
from ingest.encoders.bert.tokens import Tokenizer

WORDPIECE, BPE = "wordpiece", "bpe"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
#: Fewer sentences than this are no language.
FEWEST_TEXTS = 20
# Before a capital that follows a letter or digit: LiFePO4 is Li Fe P O 4.
_ELEMENT = r"(?<=[A-Za-z0-9])(?=[A-Z])"
# Between commas: a number, letters, or one other character.
_WORD = r"\d+\.\d+|\d+|[^\W\d_]+|[^\w\s,]|_"
_MOST_PHRASES = 100
_SPELT = string.ascii_letters + string.digits
_FEWEST_DIGITS = 0.5
_FREQUENT = 5


@dataclass(frozen=True)
class TokenReport:
    """What a tokenizer makes of texts that it was not trained on.

    Parameters
    ----------
    tokenizer : str
        Whose.
    vocabulary : int
        Tokens that it knows.
    mean_tokens, median_tokens : float
        Of a text, special tokens included.
    unknown : float
        Share of the tokens that are the unknown one.
    truncated : float
        Share of the texts that are longer than the model reads.
    digits : float
        Share of the digits that are in a token that says them.
    """

    tokenizer: str
    vocabulary: int
    mean_tokens: float
    median_tokens: float
    unknown: float
    truncated: float
    digits: float


def token_report(
    name: str, tokenizer: Tokenizer, texts: Sequence[str], numbers: NumberForm
) -> TokenReport:
    """Measure a tokenizer on texts."""
    shaped = [numbers(text) for text in texts]
    tokens = tokenizer(shaped)
    lengths = np.array([one.n_tokens for one in tokens])
    inside = sum(len(one.ids) - sum(one.special) for one in tokens)
    return TokenReport(
        tokenizer=name,
        vocabulary=tokenizer.vocabulary_size,
        mean_tokens=float(lengths.mean()),
        median_tokens=float(np.median(lengths)),
        unknown=sum(one.n_unknown for one in tokens) / max(inside, 1),
        truncated=float(np.mean([one.truncated for one in tokens])),
        digits=tokenizer.digits_kept(shaped),
    )


def check_numbers(report: TokenReport) -> None:
    """Raise if a tokenizer loses most of what the texts say in digits.

    Raises
    ------
    InvalidInputError
        If fewer than half of the digits are in a token that says them.
    """
    if report.digits < _FEWEST_DIGITS:
        raise InvalidInputError(
            f"the tokenizer {report.tokenizer!r} drops numbers: {1 - report.digits:.0%} of the "
            "digits of the texts become unknown tokens or none, and a model could learn no length "
            "or angle; take another --tokenizer, or let one be trained"
        )


def train_tokenizer(
    texts: Sequence[str], kind: str, size: int, folder: Path, *, compact: bool = False
) -> None:
    """Train a tokenizer and write ``tokenizer.json`` and ``tokenizer_config.json``.

    Parameters
    ----------
    texts : sequence of str
    kind : {"wordpiece", "bpe"}
        M. Schuster and K. Nakajima (ICASSP 2012), or R. Sennrich et al. (ACL 2016).
    size : int
        Most tokens; phrases come on top.
    compact : bool
        Whether numbers are words, frequent phrases tokens, and commas left out.

    Raises
    ------
    MissingDataError
        If there are fewer than 20 texts.
    """
    from tokenizers import (
        AddedToken,
        Regex,
        models,
        normalizers,
        pre_tokenizers,
        processors,
        trainers,
    )
    from tokenizers import Tokenizer as Backend

    check_texts(texts)
    backend: Any
    if kind == WORDPIECE:
        backend = Backend(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
        maker: Any = trainers.WordPieceTrainer
    else:
        backend = Backend(models.BPE(unk_token="[UNK]"))
        maker = trainers.BpeTrainer
    backend.normalizer = normalizers.NFC()
    elements = pre_tokenizers.Split(Regex(_ELEMENT), "isolated")
    cutters: list[Any]
    if compact:
        words = pre_tokenizers.Split(Regex(_WORD), "removed", invert=True)
        cutters = [words, elements]
    else:
        digits = pre_tokenizers.Digits(individual_digits=True)
        cutters = [pre_tokenizers.BertPreTokenizer(), elements, digits]
    backend.pre_tokenizer = pre_tokenizers.Sequence(cutters)
    alphabet = sorted({c for text in texts for c in text if not c.isspace()} | set(_SPELT))
    # A letter or digit that was never met inside a word would make whole new words unknown.
    inside = " ".join("x" + letter for letter in _SPELT)
    inside += "".join(f" 0{digit} 0.{digit}" for digit in string.digits)
    backend.train_from_iterator(
        [*texts, inside],
        maker(
            vocab_size=size,
            min_frequency=2,
            special_tokens=list(SPECIAL),
            initial_alphabet=alphabet,
            show_progress=False,
        ),
    )
    if compact:
        phrases = frequent_phrases(texts, _MOST_PHRASES)
        backend.add_tokens([AddedToken(phrase, normalized=False) for phrase in phrases])
    ends = [(token, backend.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=ends
    )
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **dict(zip(names, SPECIAL, strict=True)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (
        ("tokenizer.json", backend.to_str()),
        ("tokenizer_config.json", json.dumps(config, indent=1)),
    ):
        with atomic_path(folder / name) as path:
            path.write_text(content + "\n", encoding="utf-8")


def new_words(tokenizer: Tokenizer, texts: Sequence[str], most: int) -> list[str]:
    """The most frequent words that a tokenizer cuts in pieces, most frequent first.

    Words that stand in fewer than five places, and numbers, which are without end, are left out.
    """
    counts = Counter(word for text in texts for word in tokenizer.words(text))
    fitting = [
        (-count, word)
        for word, count in counts.items()
        if count >= _FREQUENT and not word.isdigit() and not tokenizer.knows_whole(word)
    ]
    return [word for _, word in sorted(fitting)[:most]]


def check_texts(texts: Sequence[str]) -> None:
    """Raise if there is too little text to learn a language from."""
    if len(texts) < FEWEST_TEXTS:
        raise MissingDataError(
            f"{len(texts)} texts are no language: {FEWEST_TEXTS} are needed at least, thousands to "
            "be of use; describe more with featurestore ingest text"
        )
