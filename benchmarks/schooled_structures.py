"""The control of extra data: a structure's own vectors, taught what a text model was taught.

    python -m benchmarks.schooled_structures --store materials-store --property ehull --text chemnlp

A text model has seen values of many materials that a predictor never sees, so that a gain by it may
be owed to these and to no text. Here a network of two layers learns the same values of the same
structures from stored structure vectors, and its last hidden layer is stored as the encoder
`schooled`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn

from featurestore.catalogue import find_encoder
from featurestore.cli.options import CONTEXT
from featurestore.store import FeatureStore
from featurestore.vectors import Vectors
from ingest.stages.vectors import ingest_vectors
from train.encoders.text.corpus import stored_corpus
from train.predictors.base import Epoch
from train.predictors.callbacks import BestWeights
from train.predictors.loop import TrainingLoop

_WIDTH, _BATCH, _RATE = 192, 64, 1e-3
Array = npt.NDArray[np.float32]


class Schooling(TrainingLoop):
    """Masked mean absolute error of all targets, each in units of its mean deviation.

    Parameters
    ----------
    vectors : ndarray, shape (n, width), float32
        Standardised.
    targets : ndarray, shape (n, properties), float32
        NaN where a structure lacks one.
    train, val : ndarray of int
        Rows to learn from and to choose the best epoch by.
    """

    def __init__(
        self, vectors: Array, targets: Array, train: Array, val: Array, epochs: int, seed: int
    ) -> None:
        torch.manual_seed(seed)
        self.body = nn.Sequential(
            nn.Linear(vectors.shape[1], _WIDTH), nn.GELU(), nn.Linear(_WIDTH, _WIDTH), nn.GELU()
        )
        self.network = nn.Sequential(self.body, nn.Linear(_WIDTH, targets.shape[1]))
        self._x, self._y = torch.from_numpy(vectors), torch.from_numpy(targets)
        self._train, self._val = torch.from_numpy(train), torch.from_numpy(val)
        self._order = torch.Generator().manual_seed(seed)
        self.best = BestWeights()
        super().__init__(
            self.network,
            torch.optim.AdamW(self.network.parameters(), lr=_RATE, weight_decay=0.01),
            max_epochs=epochs,
            callbacks=[self.best],
        )

    def next_epoch(self) -> Epoch:
        """One pass in a random order; the rate falls to zero by a cosine."""
        done = len(self.history)
        self.optimizer.param_groups[0]["lr"] = (
            _RATE * (1 + math.cos(math.pi * done / self.max_epochs)) / 2
        )
        losses = []
        order = self._train[torch.randperm(len(self._train), generator=self._order)]
        for rows in torch.split(order, _BATCH):
            loss = self._error(rows)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            losses.append(float(loss.detach()))
        with torch.no_grad():
            val_mae = float(self._error(self._val))
        return Epoch(done + 1, float(np.mean(losses)), val_mae)

    def hidden(self) -> Array:
        """The last hidden layer of all rows, shape (n, 192)."""
        with torch.no_grad():
            values: Array = self.body(self._x).numpy()
        return values

    def _error(self, rows: torch.Tensor) -> torch.Tensor:
        targets = self._y[rows]
        known = ~targets.isnan()
        errors: torch.Tensor = (self.network(self._x[rows]) - targets.nan_to_num()).abs()[known]
        return errors.mean()


def schooled(
    store: FeatureStore,
    base: str,
    properties: Sequence[str],
    text: str,
    *,
    hold_out: Sequence[str] = (),
    epochs: int = 30,
    seed: int = 0,
) -> tuple[str, list[Epoch]]:
    """Store the hidden layer as the encoder `schooled`; returns its id and the training's history.

    Parameters
    ----------
    base : str
        Structure encoder whose stored vectors are the input.
    properties : sequence of str
        What is learned, all at once.
    text : str
        Source of the texts: learned from are the structures that a text model would learn from.
    hold_out : sequence of str
        Stored splits, as for `train text-source`.
    """
    with store.session() as session:
        encoder = find_encoder(session, base, "structure")
        corpus = stored_corpus(session, properties, [text], hold_out=hold_out, seed=seed)
        stored = Vectors.of(session, encoder)
        ids = sorted(stored.ids.to_pylist())
        vectors = stored.read(ids)
    place = {one: row for row, one in enumerate(ids)}
    targets = np.full((len(ids), len(properties)), np.nan, np.float32)
    rows: dict[str, list[int]] = {"train": [], "val": [], "test": []}
    for number, one in enumerate(corpus.structure_ids):
        if one in place:
            targets[place[one]] = corpus.targets[number]
            rows[corpus.folds.of[one]].append(place[one])
    known = targets[rows["train"]]
    centre = np.nanmedian(known, axis=0)
    targets = (targets - centre) / np.nanmean(np.abs(known - centre), axis=0)
    of_train = vectors[rows["train"]]
    deviation = of_train.std(axis=0)
    scaled = (vectors - of_train.mean(axis=0)) / np.where(deviation > 1e-6, deviation, 1.0)
    with torch.random.fork_rng(devices=[]):
        train, val = (np.array(rows[fold]) for fold in ("train", "val"))
        loop = Schooling(
            scaled.astype(np.float32), targets.astype(np.float32), train, val, epochs, seed
        )
        history = loop.run()
    parameters = {"base": encoder.encoder_id, "properties": list(properties), "seed": seed}
    with TemporaryDirectory() as folder, store.run("schooled control", parameters) as run:
        file = Path(folder) / "schooled.parquet"
        pq.write_table(pa.table({"structure_id": ids, "vector": list(loop.hidden())}), file)
        outcome = ingest_vectors(
            store,
            file,
            name="schooled",
            trained_on=f"{', '.join(properties)} of {len(train):,} structures",
            run=run,
        )
    return outcome.notes[-1].removeprefix("encoder "), history


@click.command(context_settings=CONTEXT)
@click.option("--store", default="materials-store", show_default=True)
@click.option("--structure-encoder", default="alignn-ff", show_default=True)
@click.option("--property", "properties", multiple=True, required=True)
@click.option("--text", default="chemnlp", show_default=True)
@click.option("--hold-out", multiple=True, default=("paper",), show_default=True)
@click.option("--epochs", default=30, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(
    store: str,
    structure_encoder: str,
    properties: tuple[str, ...],
    text: str,
    hold_out: tuple[str, ...],
    epochs: int,
    seed: int,
) -> None:
    """Teach stored structure vectors what a text model was taught."""
    encoder_id, history = schooled(
        FeatureStore.open(store),
        structure_encoder,
        properties,
        text,
        hold_out=hold_out,
        epochs=epochs,
        seed=seed,
    )
    best = min(history, key=lambda one: one.val_mae)
    click.echo(
        f"{encoder_id}: epoch {best.epoch}, validation error {best.val_mae:.3f} of a constant's"
    )


if __name__ == "__main__":
    main()
