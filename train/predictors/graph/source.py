"""Trains an ALIGNN source model on the store's structures, as an encoder for `ingest embeddings`.

The paper takes its structure vectors from an ALIGNN trained on Materials Project formation
energies; this makes such a model from any property in the store.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save as save_tensors

from featurestore.catalogue import find_property
from featurestore.errors import MissingDataError
from featurestore.failure import Failure
from featurestore.identity import sha256_hex
from featurestore.output.progress import progress_bar
from featurestore.output.rows import atomic_path
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.stored_structures import stored_crystals
from featurestore.views.request import FOLDS
from train.encoders.folder import CHECKPOINT, WEIGHTS, check_new, write_materials
from train.metrics import regression_metrics
from train.predictors.graph.examples import ATOM_FEATURES, GraphExample, graph_examples
from train.predictors.graph.network import AlignnRegressor
from train.predictors.graph.trainer import GraphRows, GraphTrainer, GraphTraining, predict


@dataclass(frozen=True)
class SourceRows:
    """The materials of a source model, by fold.

    Parameters
    ----------
    property, unit : str
    material_ids : mapping of str to list of str
        For each fold.
    rows : mapping of str to GraphRows
        For each fold.
    left_out : mapping of str to Failure
        Structures that make no graph.
    """

    property: str
    unit: str
    material_ids: Mapping[str, list[str]]
    rows: Mapping[str, GraphRows]
    left_out: Mapping[str, Failure] = field(repr=False)


@dataclass(frozen=True)
class SourceModel:
    """A finished source model: its folder, and its errors on the folds in the property's unit."""

    folder: Path
    metrics: dict[str, Any]


def source_rows(
    store: FeatureStore,
    property: str,
    settings: GraphTraining,
    *,
    property_source: str | None = None,
    split: str | None = None,
    seed: int = 0,
    limit: int | None = None,
) -> SourceRows:
    """Read the property's materials and make their graphs.

    Equal structures count once. Without a split, a random twentieth each, by structure, is held
    out for validation and test.

    Parameters
    ----------
    property_source : str, optional
        Source of the targets, where there are several.
    split : str, optional
        A stored split.
    seed : int
        Of the random folds and of the choice of ``limit``.
    limit : int, optional
        Number of structures to take, at random.

    Raises
    ------
    UnknownNameError
        If the property or split is unknown.
    MissingDataError
        If fewer than 20 structures have a target.
    """
    with store.session() as session:
        _, unit = find_property(session, property, property_source)
        found = session.query(
            """
            SELECT structure_id, min(material_id) AS material_id, avg(target) AS target,
                   min(fold) AS fold
            FROM targets(?, split := ?, property_source := ?)
            GROUP BY structure_id ORDER BY structure_id
            """,
            [property, split, property_source],
        ).to_pylist()
        random = np.random.default_rng(seed)
        if limit is not None and limit < len(found):
            found = [found[i] for i in sorted(random.choice(len(found), limit, replace=False))]
        if len(found) < 20:
            raise MissingDataError(
                f"{len(found)} structures have a target for {property!r}; a source model needs 20"
            )
        if split is None:
            held_out = max(1, len(found) // 20)
            for rank, i in enumerate(random.permutation(len(found))):
                found[i]["fold"] = FOLDS[1 + rank // held_out] if rank < 2 * held_out else "train"
        examples, left_out = _graphs(session, [r["structure_id"] for r in found], settings)
    kept = [row for row in found if row["structure_id"] in examples]
    ids: dict[str, list[str]] = {}
    rows: dict[str, GraphRows] = {}
    for fold in FOLDS:
        chosen = [row for row in kept if row["fold"] == fold]
        ids[fold] = [row["material_id"] for row in chosen]
        rows[fold] = GraphRows(
            [examples[row["structure_id"]] for row in chosen],
            np.array([row["target"] for row in chosen], dtype=np.float64),
        )
    if not rows["train"] or not rows["val"]:
        raise MissingDataError(
            f"split {split!r} leaves {len(rows['train'])} structures to train on and "
            f"{len(rows['val'])} to choose the best epoch by"
        )
    return SourceRows(property=property, unit=unit, material_ids=ids, rows=rows, left_out=left_out)


def train_source(
    rows: SourceRows, folder: Path, settings: GraphTraining, seed: int = 0
) -> SourceModel:
    """Train, and write a folder that `ingest embeddings --encoder FOLDER` takes.

    The folder gets ``config.json`` and ``model.safetensors``, as published models have them, and
    ``materials.csv``: which material was in which fold. After each epoch the state is kept in
    ``resume.pt``, from which the same call goes on.

    Raises
    ------
    InvalidInputError
        If the folder holds another model.
    TrainingError
        If the training diverges.
    """
    check_new(folder)
    start = time.perf_counter()
    checkpoint = folder / CHECKPOINT
    trainer = GraphTrainer(settings, rows.rows["train"], rows.rows["val"], seed, checkpoint)
    begun = len(trainer.history)
    with progress_bar(settings.epochs, folder.name, "epochs") as progress:
        network = trainer.fit(progress)
    metrics: dict[str, Any] = {
        "folds": {
            fold: regression_metrics(
                rows.rows[fold].targets,
                predict(network, rows.rows[fold].examples, settings.reference),
            )
            for fold in FOLDS
            if fold != "train"
        },
        "epochs": len(trainer.history),
        "best_epoch": trainer.best_epoch,
        "seconds": round(time.perf_counter() - start, 1),
        "epochs_in_that_time": len(trainer.history) - begun,
    }
    write_materials(folder, rows.material_ids)
    config = _config(rows, settings, seed, metrics, [vars(epoch) for epoch in trainer.history])
    with atomic_path(folder / "config.json") as path:
        path.write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    with atomic_path(folder / WEIGHTS) as path:
        path.write_bytes(save_tensors(_contiguous(network)))
    checkpoint.unlink(missing_ok=True)
    return SourceModel(folder, metrics)


def _graphs(
    session: Session, structure_ids: Sequence[str], settings: GraphTraining
) -> tuple[dict[str, GraphExample], dict[str, Failure]]:
    examples: dict[str, GraphExample] = {}
    failures: dict[str, Failure] = {}
    with progress_bar(len(structure_ids), "graphs", "structures") as progress:
        crystals = stored_crystals(session, structure_ids)
        for structure_id, made in graph_examples(crystals, settings.graph):
            if isinstance(made, Failure):
                failures[structure_id] = made
            else:
                examples[structure_id] = made
            progress.update()
    return examples, failures


def _contiguous(network: AlignnRegressor) -> dict[str, Any]:
    return {name: value.contiguous() for name, value in network.checkpoint_state().items()}


def _config(
    rows: SourceRows,
    settings: GraphTraining,
    seed: int,
    metrics: dict[str, Any],
    history: list[dict[str, Any]],
) -> dict[str, Any]:
    architecture = asdict(settings.architecture)
    sizes = {k: v for k, v in architecture.items() if isinstance(v, int)}
    return {
        "atom_features": ATOM_FEATURES,
        "neighbor_strategy": "k-nearest",
        **asdict(settings.graph),
        "model": {"name": "alignn_atomwise_pure", **sizes},
        "training": {
            "property": rows.property,
            "unit": rows.unit,
            "materials": {fold: len(ids) for fold, ids in rows.material_ids.items()},
            "materials_sha256": sha256_hex("\n".join(rows.material_ids["train"]).encode()),
            "settings": asdict(settings),
            "seed": seed,
            "metrics": metrics,
            "history": history,
        },
    }
