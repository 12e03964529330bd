"""Trains a text source model and writes it as an encoder for `ingest embeddings`."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from featurestore.errors import InvalidInputError
from featurestore.identity import sha256_hex
from featurestore.output.progress import progress_bar
from featurestore.output.rows import atomic_path
from featurestore.views.request import FOLDS
from ingest.encoders.bert.model import load_transformer, weights_file
from ingest.encoders.bert.tokens import Tokenizer
from ingest.encoders.bert.writing import read_config, write_model
from ingest.encoders.registry import named_encoder
from ingest.encoders.schooling import LEARNED, PROJECTED, TRAINED_ON, TRAINING
from train.encoders.folder import CHECKPOINT, check_new, write_materials
from train.encoders.text.corpus import Corpus
from train.encoders.text.distilled import Distilled
from train.encoders.text.network import plain_encoder
from train.encoders.text.regression import TextTrainer, TextTraining

#: The head's weights, in the units of the properties.
HEAD = "head.safetensors"


@dataclass(frozen=True)
class FoldError:
    """Errors of a property in a fold, in its unit; ``constant`` is the training median's MAE."""

    property: str
    unit: str
    fold: str
    n: int
    mae: float
    constant: float


@dataclass(frozen=True)
class TextSource:
    """A finished text source model.

    Parameters
    ----------
    folder : Path
    errors : list of FoldError
        On validation and test fold; of all components of structure vectors together, in their mean
        absolute deviation from the median.
    rounds, best_round : int
        Done, and whose weights were kept.
    truncated, longest : int
        Texts that were cut, and the tokens of the longest.
    seconds : float
    """

    folder: Path
    errors: list[FoldError]
    rounds: int
    best_round: int
    truncated: int
    longest: int
    seconds: float


def base_folder(weights: str) -> Path:
    """The folder of a text model of the BERT family, by name or path.

    Raises
    ------
    InvalidInputError
        If it is another encoder.
    MissingDataError, UnknownNameError
        If there is none, or it is not pulled.
    """
    named = named_encoder(weights)
    if named.part.name != "bert" or named.folder is None:
        raise InvalidInputError(
            f"{weights!r} is the encoder {named.part.name!r}; a text model is trained from one of "
            "the BERT family, such as minilm"
        )
    return named.folder


def train_text_source(
    corpus: Corpus,
    weights: str,
    folder: Path,
    settings: TextTraining,
    seed: int = 0,
    distilled: Distilled | None = None,
) -> TextSource:
    """Fine-tune, and write a folder that `ingest embeddings --encoder FOLDER` takes.

    After each round the state is kept in ``resume.pt``, from which the same call goes on.

    Parameters
    ----------
    corpus : Corpus
        What is learned.
    weights : str
        Name or folder of the model that it starts from.
    folder : Path
        Gets configuration, tokenizer, weights, the head and ``materials.csv``.
    distilled : Distilled, optional
        What the corpus's last columns are.

    Raises
    ------
    InvalidInputError
        If the folder holds another model, or the base is none that can be trained.
    TrainingError
        If the training diverges.
    """
    check_new(folder)
    base = base_folder(weights)
    transformer = load_transformer(base, -1)
    if not 3 <= settings.max_tokens <= transformer.max_positions:
        raise InvalidInputError(
            f"max_tokens is {settings.max_tokens}; {base} takes 3 to {transformer.max_positions}"
        )
    tokenizer = Tokenizer(base, transformer.config, settings.max_tokens)
    folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    checkpoint = folder / CHECKPOINT
    digest = sha256_hex(weights_file(base).read_bytes())
    trainer = TextTrainer(settings, corpus, transformer, tokenizer, digest, seed, checkpoint)
    with progress_bar(trainer.max_epochs, folder.name, "rounds") as progress:
        trainer.fit(progress)
    errors = [one for fold in FOLDS[1:] for one in _errors(trainer, corpus, fold, distilled)]
    seconds = round(time.perf_counter() - start, 1)
    done = TextSource(
        folder=folder,
        errors=errors,
        rounds=len(trainer.history),
        best_round=trainer.best.best_epoch,
        truncated=sum(one.truncated for one in trainer.tokens),
        longest=max(one.n_tokens for one in trainer.tokens),
        seconds=seconds,
    )
    _write_head(folder / HEAD, trainer)
    write_materials(folder, {fold: corpus.materials(fold) for fold in FOLDS})
    config = {key: v for key, v in read_config(base).items() if key != TRAINING}
    told = _told(done, corpus, settings, trainer, digest, distilled)
    further = {**settings.numbers.said(), TRAINING: told}
    write_model(folder, plain_encoder(trainer.regressor.encoder), config, base, further)
    checkpoint.unlink(missing_ok=True)
    return done


def _errors(
    trainer: TextTrainer, corpus: Corpus, fold: str, distilled: Distilled | None
) -> list[FoldError]:
    rows = corpus.rows(fold)
    if not rows:
        return []
    predicted, targets = trainer.predictions(rows), corpus.targets[rows]
    found = []
    for column, (name, unit) in enumerate(corpus.properties):
        known = ~np.isnan(targets[:, column])
        if known.any():
            off = np.abs(predicted[known, column] - targets[known, column])
            constant = np.abs(trainer.centre[column] - targets[known, column])
            found.append(
                FoldError(
                    name, unit, fold, int(known.sum()), float(off.mean()), float(constant.mean())
                )
            )
    first = len(corpus.properties)
    known = ~np.isnan(targets[:, -1])
    if distilled is not None and known.any():
        size = trainer.size[first:]
        off = np.abs(predicted[known, first:] - targets[known, first:]) / size
        constant = np.abs(trainer.centre[first:] - targets[known, first:]) / size
        name = f"{distilled.components} components of {distilled.encoder.encoder_id}"
        n = int(known.sum())
        found.append(
            FoldError(name, "deviations", fold, n, float(off.mean()), float(constant.mean()))
        )
    return found


def _write_head(path: Path, trainer: TextTrainer) -> None:
    head = trainer.regressor.head
    weight = head.weight.detach().double().cpu().numpy() * trainer.size[:, None]
    bias = head.bias.detach().double().cpu().numpy() * trainer.size + trainer.centre
    with atomic_path(path) as temporary:
        temporary.write_bytes(save({"weight": weight, "bias": bias}))


def _told(
    done: TextSource,
    corpus: Corpus,
    settings: TextTraining,
    trainer: TextTrainer,
    digest: str,
    distilled: Distilled | None,
) -> dict[str, Any]:
    """What ``config.json`` says of the training."""
    learned: dict[str, Any] = {
        "properties": [name for name, _ in corpus.properties],
        "from": [generator.generator_id for generator in corpus.generators],
    }
    if distilled is not None:
        its = distilled.encoder
        learned[PROJECTED] = {its.encoder_id: its.fingerprint.get("weights_sha256")}
        learned["components"] = distilled.components
    return {
        TRAINED_ON: corpus.materials("train"),
        LEARNED: learned,
        "base_weights_sha256": digest,
        "materials": corpus.folds.counts,
        "settings": asdict(settings),
        "seed": trainer.seed,
        "errors": [asdict(one) for one in done.errors],
        "truncated": done.truncated,
        "texts": len(corpus),
        "best_round": done.best_round,
        "history": [
            {"round": one.epoch, "train": one.train_mae, "val": one.val_mae}
            for one in trainer.history
        ],
        "seconds": done.seconds,
    }
