"""Trains a joint space, writes its two encoders, and measures what they find."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from featurestore.identity import sha256_hex
from featurestore.output.progress import progress_bar
from featurestore.output.rows import atomic_path
from featurestore.views.request import FOLDS
from ingest.encoders.aligned.encoder import ALIGNED, SPACE
from ingest.encoders.aligned.head import ARRAYS, Head
from ingest.encoders.schooling import LEARNED, PROJECTED, TRAINED_ON, TRAINING
from train.encoders.alignment.pairs import Pairs
from train.encoders.alignment.retrieval import Retrieval, by_neighbours, chance, ranks, summary
from train.encoders.alignment.trainer import AlignmentTrainer, AlignmentTraining
from train.encoders.folder import CHECKPOINT, WEIGHTS, check_new, write_materials

SIDES = ("structure", "text")


@dataclass(frozen=True)
class Alignment:
    """A finished joint space.

    Parameters
    ----------
    folders : dict of str to Path
        Of the "structure" and the "text" encoder.
    retrieval : list of Retrieval
        Of the test fold's materials among each other.
    epochs, best_epoch : int
        Done, and whose weights were kept.
    seconds : float
    """

    folders: dict[str, Path]
    retrieval: list[Retrieval]
    epochs: int
    best_epoch: int
    seconds: float


def align(pairs: Pairs, folder: Path, settings: AlignmentTraining, seed: int = 0) -> Alignment:
    """Train, and write the folders ``FOLDER-structure`` and ``FOLDER-text``.

    `ingest embeddings` takes each as an encoder, and projects the vectors that are stored. The
    state is kept after each epoch in ``FOLDER-text/resume.pt``: the same call goes on from it.

    Raises
    ------
    InvalidInputError
        If a folder holds another model.
    TrainingError
        If the training diverges.
    """
    folders = {side: folder.with_name(f"{folder.name}-{side}") for side in SIDES}
    for one in folders.values():
        check_new(one)
        one.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    checkpoint = folders["text"] / CHECKPOINT
    trainer = AlignmentTrainer(settings, pairs, seed, checkpoint)
    with progress_bar(settings.epochs, folder.name, "epochs") as progress:
        space = trainer.fit(progress)
    heads = {"structure": space.structure.head(), "text": space.text.head()}
    found = retrieval(pairs, heads)
    seconds = round(time.perf_counter() - start, 1)
    weights = {
        side: save({name: getattr(head, name) for name in ARRAYS}) for side, head in heads.items()
    }
    space_id = sha256_hex(weights["structure"] + weights["text"])[:16]
    encoders = {"structure": pairs.structure_encoder, "text": pairs.text_encoder}
    training = {
        TRAINED_ON: pairs.materials("train"),
        LEARNED: {
            "task": f"to pair structures ({pairs.structure_encoder.encoder_id}) with "
            f"{pairs.generator.generator_id} texts ({pairs.text_encoder.encoder_id})",
            PROJECTED: {
                one.encoder_id: one.fingerprint.get("weights_sha256") for one in encoders.values()
            },
        },
        "materials": pairs.folds.counts,
        "settings": asdict(settings),
        "seed": seed,
        "retrieval": [asdict(one) for one in found],
        "history": [
            {"epoch": one.epoch, "train": one.train_mae, "val": one.val_mae}
            for one in trainer.history
        ],
        "seconds": seconds,
    }
    for side, one in folders.items():
        config = {ALIGNED: _side(encoders[side], settings, space_id), TRAINING: training}
        write_materials(one, {fold: pairs.materials(fold) for fold in FOLDS})
        with atomic_path(one / "config.json") as path:
            path.write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    for side, one in folders.items():
        with atomic_path(one / WEIGHTS) as path:
            path.write_bytes(weights[side])
    checkpoint.unlink(missing_ok=True)
    return Alignment(folders, found, len(trainer.history), trainer.best.best_epoch, seconds)


def retrieval(pairs: Pairs, heads: dict[str, Head]) -> list[Retrieval]:
    """What the test fold's structures and texts find of each other, four ways.

    In the joint space; through the neighbours of training pairs, without training (see
    `by_neighbours`); by the composition alone, told without error, which is all that one who reads
    no more than the formula can find; and by chance. The joint space again among the candidates
    that have the query's elements. Empty where nothing is tested on.
    """
    test, train = pairs.rows("test"), pairs.rows("train")
    if not len(test):
        return []
    sides = {"structure": pairs.structures, "text": pairs.texts}
    contents = [pairs.text_ids[row] for row in test]
    found: list[Retrieval] = []
    for way, vectors in (
        ("joint space", {side: heads[side](all_[test]) for side, all_ in sides.items()}),
        (
            "neighbours of training pairs",
            {side: by_neighbours(all_[test], all_[train]) for side, all_ in sides.items()},
        ),
        ("composition alone", dict.fromkeys(SIDES, pairs.compositions[test])),
    ):
        found += [
            summary(way, query, ranks(vectors[query], vectors[other], contents, contents))
            for query, other in (SIDES, SIDES[::-1])
        ]
    found += [chance(query, len(test)) for query in SIDES]
    vectors = {side: heads[side](all_[test]) for side, all_ in sides.items()}
    elements = [np.flatnonzero(row).tobytes() for row in pairs.compositions[test]]
    return [*found, *within(vectors, contents, elements)]


def within(
    vectors: dict[str, Any], contents: Sequence[str], groups: Sequence[bytes]
) -> list[Retrieval]:
    """What is found among candidates of the query's own group, here of the same elements.

    Whoever reads the formula finds nearly everything in a store of one material a formula; here
    that is no help. Groups of one are left out; without others the list is empty.
    """
    members: dict[bytes, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(group, []).append(row)
    several = [rows for rows in members.values() if len(rows) > 1]
    if not several:
        return []
    found = []
    for query, other in (SIDES, SIDES[::-1]):
        parts = []
        for rows in several:
            texts = [contents[row] for row in rows]
            parts.append(ranks(vectors[query][rows], vectors[other][rows], texts, texts))
        found.append(summary("joint space, same elements", query, np.concatenate(parts)))
    sizes = np.concatenate([np.full(len(rows), float(len(rows))) for rows in several])
    for query in SIDES:
        drawn = summary("chance, same elements", query, (sizes + 1) / 2)
        found.append(
            replace(
                drawn,
                recall_1=float((1 / sizes).mean()),
                recall_10=float(np.minimum(10 / sizes, 1).mean()),
            )
        )
    return found


def _side(encoder: Any, settings: AlignmentTraining, space: str) -> dict[str, Any]:
    return {
        "kind": encoder.kind,
        "dimension": settings.dimension,
        SPACE: space,
        "base": {
            "encoder_id": encoder.encoder_id,
            "name": encoder.name,
            "dimension": encoder.dimension,
            "fingerprint": encoder.fingerprint,
        },
    }


def lines(found: Sequence[Retrieval]) -> list[dict[str, Any]]:
    """Rows of a table for people."""
    return [
        {
            "way": one.way,
            "query": one.query,
            "finds": one.candidates,
            "among": one.n,
            "recall@1": round(one.recall_1, 4),
            "recall@10": round(one.recall_10, 4),
            "median rank": one.median_rank,
        }
        for one in found
    ]
