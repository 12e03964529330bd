"""Trains a language model on a store's sentences, and writes it as an encoder."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from featurestore.errors import InvalidInputError
from featurestore.identity import sha256_hex
from featurestore.output.progress import progress_bar
from featurestore.views.request import FOLDS
from ingest.encoders.bert.model import Transformer, load_transformer, weights_file
from ingest.encoders.bert.new import Sizes, enlarge, new_transformer, write_enlarged_tokenizer
from ingest.encoders.bert.numbers import NumberForm
from ingest.encoders.bert.tokens import TOKENIZER_FILES, Tokenizer, vocabulary_of
from ingest.encoders.bert.writing import write_model
from ingest.encoders.schooling import LEARNED, TRAINED_ON, TRAINING
from train.encoders.folder import CHECKPOINT, check_new, write_materials
from train.encoders.text.masked import MaskedTrainer, MaskedTraining
from train.encoders.text.sentences import Sentences
from train.encoders.text.source import base_folder
from train.encoders.text.vocabulary import (
    TokenReport,
    check_numbers,
    check_texts,
    new_words,
    token_report,
    train_tokenizer,
)


@dataclass(frozen=True)
class Start:
    """What a language model starts from.

    Parameters
    ----------
    weights : str or None
        A model of the BERT family, whose vocabulary is enlarged; None: random weights and a
        tokenizer of its own.
    vocabulary : int
        Most tokens of a new tokenizer, or words added to the model's.
    kind : {"wordpiece", "bpe"}
        Of a new tokenizer.
    compact : bool
        Whether a new tokenizer is to spend few tokens on a text.
    tokenizer : Path or None
        A folder with a tokenizer to use with random weights.
    sizes : Sizes
        Of a new model.
    compare : str
        The model whose tokenizer the report compares with.
    """

    weights: str | None = None
    vocabulary: int = 4000
    kind: str = "wordpiece"
    compact: bool = False
    tokenizer: Path | None = None
    sizes: Sizes = field(default_factory=Sizes)
    compare: str = "minilm"


@dataclass(frozen=True)
class LanguageModel:
    """A finished language model.

    Parameters
    ----------
    folder : Path
    reports : list of TokenReport
        Of its tokenizer and the one compared with, on the validation texts.
    rounds, best_round : int
        Done, and whose weights were kept.
    error, of_frequencies : float
        Mean of 1 - p over the masked validation tokens, and that of one who knows only how
        frequent tokens are.
    added : int
        Words added to the vocabulary it started with.
    seconds : float
    """

    folder: Path
    reports: list[TokenReport]
    rounds: int
    best_round: int
    error: float
    of_frequencies: float
    added: int
    seconds: float


def train_language_model(
    sentences: Sentences, start: Start, folder: Path, settings: MaskedTraining, seed: int = 0
) -> LanguageModel:
    """Train, and write a folder that `ingest embeddings --encoder FOLDER` takes.

    After each round the state is kept in ``resume.pt``, from which the same call goes on.

    Raises
    ------
    InvalidInputError
        If the folder holds another model, the tokenizer drops numbers, or what it starts from
        cannot be used.
    MissingDataError
        If there are too few texts.
    TrainingError
        If the training diverges.
    """
    check_new(folder)
    train, val = sentences.of("train"), sentences.of("val")
    check_texts(train)
    begun = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / CHECKPOINT
    with tempfile.TemporaryDirectory() as made:
        transformer, tokenizer, added, origin = _begin(
            start, train, Path(made), settings.max_tokens, settings.numbers, seed
        )
        reports = [token_report(folder.name, tokenizer, val, settings.numbers)]
        check_numbers(reports[0])
        reports += _compared(start.compare, val, settings.max_tokens)
        trainer = MaskedTrainer(
            settings, train, val, transformer, tokenizer, origin, seed, checkpoint
        )
        with progress_bar(trainer.max_epochs, folder.name, "rounds") as progress:
            trainer.fit(progress)
        done = LanguageModel(
            folder=folder,
            reports=reports,
            rounds=len(trainer.history),
            best_round=trainer.best.best_epoch,
            error=trainer.history[trainer.best.best_epoch - 1].val_mae,
            of_frequencies=trainer.of_frequencies,
            added=added,
            seconds=round(time.perf_counter() - begun, 1),
        )
        write_materials(folder, {fold: sentences.materials(fold) for fold in FOLDS})
        config = {key: v for key, v in transformer.config.to_dict().items() if key != TRAINING}
        told = _told(done, sentences, start, settings, trainer)
        further = {**settings.numbers.said(), TRAINING: told}
        write_model(folder, trainer.model.encoder, config, Path(made), further)
    checkpoint.unlink(missing_ok=True)
    return done


def _begin(
    start: Start,
    train: Sequence[str],
    made: Path,
    max_tokens: int,
    numbers: NumberForm,
    seed: int,
) -> tuple[Transformer, Tokenizer, int, str]:
    """The model, its tokenizer (in the folder ``made``), how many words were added, and of what."""
    if start.weights is None:
        if start.tokenizer is None:
            shaped = [numbers(text) for text in train]
            train_tokenizer(shaped, start.kind, start.vocabulary, made, compact=start.compact)
        else:
            _copy_tokenizer(start.tokenizer, made)
        size, pad_id = vocabulary_of(made)
        transformer = new_transformer(start.sizes, size, pad_id, seed)
        _check_length(max_tokens, transformer, "the new model")
        tokenizer = Tokenizer(made, transformer.config, max_tokens, probe=False)
        return transformer, tokenizer, 0, "new"
    base = base_folder(start.weights)
    transformer = load_transformer(base, -1)
    _check_length(max_tokens, transformer, str(base))
    old = Tokenizer(base, transformer.config, max_tokens)
    words = new_words(old, train, start.vocabulary)
    write_enlarged_tokenizer(base, made, words, old.vocabulary_size)
    larger = enlarge(transformer, old, words)
    origin = sha256_hex(weights_file(base).read_bytes())
    return larger, Tokenizer(made, larger.config, max_tokens), len(words), origin


def _check_length(max_tokens: int, transformer: Transformer, what: str) -> None:
    if not 3 <= max_tokens <= transformer.max_positions:
        raise InvalidInputError(
            f"max_tokens is {max_tokens}; {what} takes 3 to {transformer.max_positions}"
        )


def _copy_tokenizer(source: Path, folder: Path) -> None:
    there = [name for name in TOKENIZER_FILES if (source / name).is_file()]
    if not there:
        raise InvalidInputError(f"{source} holds no tokenizer: {', '.join(TOKENIZER_FILES[:2])}")
    for name in there:
        shutil.copyfile(source / name, folder / name)


def _compared(name: str, texts: Sequence[str], max_tokens: int) -> list[TokenReport]:
    """The report of a published tokenizer, on the texts as they are."""
    base = base_folder(name)
    transformer = load_transformer(base, -1)
    tokenizer = Tokenizer(base, transformer.config, min(max_tokens, transformer.max_positions))
    return [token_report(base.name, tokenizer, texts, NumberForm())]


def _told(
    done: LanguageModel,
    sentences: Sentences,
    start: Start,
    settings: MaskedTraining,
    trainer: MaskedTrainer,
) -> dict[str, Any]:
    """What ``config.json`` says of the training."""
    return {
        TRAINED_ON: sentences.materials("train"),
        LEARNED: {"task": f"masked tokens of {', '.join(sentences.generator_ids)}"},
        "start": start.weights or "random weights",
        "words_added": done.added,
        "materials": sentences.folds.counts,
        "settings": asdict(settings),
        "seed": trainer.seed,
        "tokens": [asdict(one) for one in done.reports],
        "error": done.error,
        "error_of_frequencies": done.of_frequencies,
        "best_round": done.best_round,
        "history": [
            {"round": one.epoch, "train": one.train_mae, "val": one.val_mae}
            for one in trainer.history
        ],
        "seconds": done.seconds,
    }
