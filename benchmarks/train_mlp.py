"""Time of one epoch of ``train mlp`` beside a plain PyTorch loop over a DataLoader.

    python -m benchmarks.train_mlp --rows 842 --features 1536 --epochs 3

Both train the same network on the same made-up rows in one process; the plain loop has the
library's defaults: a DataLoader that stacks single rows and Adam without fusion.
"""

from __future__ import annotations

import time

import click
import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from featurestore.cli.options import CONTEXT
from train.predictors.network import PAPER_WIDTHS, ResidualMLP
from train.predictors.trainer import ADAM_EPSILON, Batch, Trainer

_BATCH_SIZE = 32
_LEARNING_RATE = 1e-4


def _ours(rows: Batch, epochs: int) -> float:
    """Seconds for the epochs."""
    generator = torch.Generator().manual_seed(0)
    trainer = Trainer(
        ResidualMLP(rows.features.shape[1], PAPER_WIDTHS, generator),
        learning_rate=_LEARNING_RATE,
        batch_size=_BATCH_SIZE,
        max_epochs=epochs,
        generator=generator,
    )
    few = Batch(rows.features[:1], rows.targets[:1])
    start = time.perf_counter()
    trainer.fit(rows, few)
    return time.perf_counter() - start


def _plain(rows: Batch, epochs: int) -> float:
    """Seconds for the epochs."""
    generator = torch.Generator().manual_seed(0)
    network = ResidualMLP(rows.features.shape[1], PAPER_WIDTHS, generator)
    optimizer = torch.optim.Adam(network.parameters(), lr=_LEARNING_RATE, eps=ADAM_EPSILON)
    dataset = TensorDataset(rows.features, rows.targets)
    loader = DataLoader(dataset, _BATCH_SIZE, shuffle=True, generator=generator)
    start = time.perf_counter()
    for _ in range(epochs):
        for features, targets in loader:
            optimizer.zero_grad()
            torch.nn.functional.l1_loss(network(features), targets).backward()
            optimizer.step()
    return time.perf_counter() - start


@click.command(context_settings=CONTEXT)
@click.option("--rows", default=842, show_default=True, help="Training rows; Tc_supercon has 842.")
@click.option("--features", default=1536, show_default=True, help="Width of a row.")
@click.option(
    "--epochs", default=3, show_default=True, help="Epochs of each, after one to warm up."
)
def main(rows: int, features: int, epochs: int) -> None:
    """Print seconds an epoch and milliseconds a step, ours and the plain way."""
    random = np.random.default_rng(0)
    matrix = random.normal(scale=0.3, size=(rows, features)).astype(np.float32)
    data = Batch(torch.from_numpy(matrix), torch.from_numpy(np.abs(matrix[:, :20]).sum(axis=1)))
    steps = -(-rows // _BATCH_SIZE)
    seconds = {}
    for name, train in (("train mlp", _ours), ("plain loop", _plain)):
        train(data, 1)
        seconds[name] = train(data, epochs) / epochs
        each = 1000 * seconds[name] / steps
        click.echo(f"{name:12} {seconds[name]:7.3f} s/epoch  {each:6.1f} ms/step")
    ratio = seconds["plain loop"] / seconds["train mlp"]
    click.echo(f"ratio {ratio:.2f} with {torch.get_num_threads()} threads, {rows} x {features}")


if __name__ == "__main__":
    main()
