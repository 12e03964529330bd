from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from train.predictors.base import Epoch
from train.predictors.callbacks import BestWeights, Checkpoint, Diverged, EarlyStopping
from train.predictors.errors import TrainingError
from train.predictors.loop import Callback, TrainingLoop
from train.predictors.network import ResidualMLP
from train.predictors.trainer import ADAM_EPSILON, Batch, Trainer

Array = npt.NDArray[np.float64]


def _step_by_hand(
    weights: dict[str, Array], x: Array, y: Array, learning_rate: float
) -> tuple[dict[str, Array], float]:
    """Loss and weights after Adam's first step on the MAE, for two hidden layers of one width."""
    w = weights
    z1 = x @ w["hidden.0.weight"].T + w["hidden.0.bias"]
    h1 = np.maximum(z1, 0) + x @ w["shortcuts.0.weight"].T + w["shortcuts.0.bias"]
    z2 = h1 @ w["hidden.1.weight"].T + w["hidden.1.bias"]
    h2 = np.maximum(z2, 0) + h1
    residual = (h2 @ w["output.weight"].T + w["output.bias"])[:, 0] - y
    d_out = np.sign(residual)[:, None] / len(y)
    d_h2 = d_out @ w["output.weight"]
    d_z2 = d_h2 * (z2 > 0)
    d_h1 = d_h2 + d_z2 @ w["hidden.1.weight"]
    d_z1 = d_h1 * (z1 > 0)
    gradients = {
        "hidden.0.weight": d_z1.T @ x,
        "hidden.0.bias": d_z1.sum(0),
        "hidden.1.weight": d_z2.T @ h1,
        "hidden.1.bias": d_z2.sum(0),
        "shortcuts.0.weight": d_h1.T @ x,
        "shortcuts.0.bias": d_h1.sum(0),
        "output.weight": d_out.T @ h2,
        "output.bias": d_out.sum(0),
    }
    stepped = {}
    for name, gradient in gradients.items():
        mean = (0.1 * gradient) / (1 - 0.9)
        square = (0.001 * gradient**2) / (1 - 0.999)
        stepped[name] = w[name] - learning_rate * mean / (np.sqrt(square) + ADAM_EPSILON)
    return stepped, float(np.abs(residual).mean())


def test_one_step_equals_one_written_out_by_hand() -> None:
    generator = torch.Generator().manual_seed(3)
    network = ResidualMLP(5, (4, 4), generator).double()
    x = torch.randn(7, 5, generator=generator, dtype=torch.float64)
    y = torch.randn(7, generator=generator, dtype=torch.float64)
    before = {name: value.numpy().copy() for name, value in network.state_dict().items()}
    expected, expected_loss = _step_by_hand(before, x.numpy(), y.numpy(), 1e-2)
    trainer = _trainer(network, learning_rate=1e-2)
    loss = trainer.train_step(Batch(x, y))
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    after = network.state_dict()
    assert after.keys() == expected.keys()
    for name, value in after.items():
        np.testing.assert_allclose(value.numpy(), expected[name], rtol=1e-9, atol=1e-12)


class _CountRows(Trainer):
    def __init__(self, *args: object, **settings: object) -> None:
        super().__init__(*args, **settings)  # type: ignore[arg-type]
        self.seen: list[list[float]] = []

    def train_step(self, batch: Batch) -> float:
        self.seen.append(batch.targets.tolist())
        return super().train_step(batch)


def test_an_epoch_takes_every_row_once_in_a_new_order() -> None:
    rows = Batch(torch.ones(70, 2), torch.arange(70.0))
    trainer = _trainer(ResidualMLP(2, (3,)), kind=_CountRows, max_epochs=2)
    trainer.fit(rows, rows)
    assert [len(batch) for batch in trainer.seen] == [32, 32, 6] * 2
    first, second = (list(chain(*trainer.seen[i : i + 3])) for i in (0, 3))
    assert sorted(first) == sorted(second) == list(map(float, range(70)))
    assert first != second != sorted(second)


class _Scripted(Trainer):
    """A trainer whose validation errors are given; its one weight counts the epochs."""

    val_maes: tuple[float, ...] = ()

    def run_epoch(self, train: Batch, val: Batch) -> Epoch:
        number = len(self.history) + 1
        with torch.no_grad():
            self.network.output.bias.fill_(number)
        return Epoch(number, 0.0, self.val_maes[number - 1])


@pytest.mark.parametrize(
    ("val_maes", "patience", "epochs", "best"),
    [
        ((3, 2, 2, 2, 1), 2, 4, 2),  # an equal error is no improvement
        ((3, 2, 4, 1, 5, 5, 5), 3, 7, 4),
        ((3, 2, 1), 2, 3, 3),  # the epochs run out at the best one
        ((1, 2, 3), 9, 3, 1),  # the epochs run out later: still the best weights
    ],
)
def test_early_stopping_restores_the_best_epoch(
    val_maes: tuple[float, ...], patience: int, epochs: int, best: int
) -> None:
    kept = BestWeights()
    network = ResidualMLP(2, (3,))
    callbacks = [kept, EarlyStopping(patience, kept)]
    trainer = _trainer(network, kind=_Scripted, max_epochs=len(val_maes), callbacks=callbacks)
    trainer.val_maes = val_maes
    nothing = Batch(torch.zeros(1, 2), torch.zeros(1))
    history = trainer.fit(nothing, nothing)
    assert len(history) == epochs
    assert kept.best_epoch == best
    assert network.output.bias.item() == best


def test_history_holds_the_errors_of_the_epoch() -> None:
    generator = torch.Generator().manual_seed(0)
    train = Batch(torch.randn(5, 2, generator=generator), torch.randn(5, generator=generator))
    val = Batch(torch.randn(4, 2, generator=generator), torch.randn(4, generator=generator))
    network = ResidualMLP(2, (3,), generator)
    before = (network(train.features) - train.targets).abs().mean().item()
    history = _trainer(network, max_epochs=1).fit(train, val)
    after = (network(val.features) - val.targets).abs().mean().item()
    # five rows are one batch, whose error is that before the only step
    assert history[0].epoch == 1
    assert history[0].train_mae == pytest.approx(before, rel=1e-6)
    assert history[0].val_mae == pytest.approx(after, rel=1e-6)


def test_divergence_is_an_error() -> None:
    rows = Batch(torch.full((4, 2), torch.inf), torch.ones(4))
    with pytest.raises(TrainingError, match=r"diverged in epoch 1: .*; try less"):
        _trainer(ResidualMLP(2, (3, 3)), callbacks=[Diverged("try less")]).fit(rows, rows)


class _Interrupt(Callback):
    def on_epoch_end(self, loop: TrainingLoop) -> None:
        if len(loop.history) == 4:
            raise KeyboardInterrupt


@pytest.mark.parametrize("max_epochs", [7, 30])
def test_an_interrupted_training_goes_on_to_the_same_bits(tmp_path: Path, max_epochs: int) -> None:
    """Weights, history, shuffling, the best epoch and the patience that is left, all as before."""
    generator = torch.Generator().manual_seed(1)
    train = Batch(torch.randn(50, 3, generator=generator), torch.randn(50, generator=generator))
    val = Batch(torch.randn(9, 3, generator=generator), torch.randn(9, generator=generator))

    def trained(*more: Callback, go_on: bool = False) -> tuple[Trainer, BestWeights]:
        best = BestWeights()
        checkpoint = Checkpoint(tmp_path / "resume.pt", "toy")
        network = ResidualMLP(3, (8, 8), torch.Generator().manual_seed(5))
        callbacks = [best, EarlyStopping(5, best), checkpoint, *more]
        trainer = _trainer(network, learning_rate=0.05, max_epochs=max_epochs, callbacks=callbacks)
        if go_on:
            checkpoint.resume_from_file(trainer)
            assert len(trainer.history) in (4, len(whole.history))
        trainer.fit(train, val)
        return trainer, best

    whole, best = trained()
    assert max_epochs == 7 or len(whole.history) < max_epochs
    (tmp_path / "resume.pt").unlink()
    with pytest.raises(KeyboardInterrupt):
        trained(_Interrupt())
    for _ in range(2):  # the second time there is nothing left to do
        resumed, best_again = trained(go_on=True)
        assert resumed.history == whole.history
        assert best_again.best_epoch == best.best_epoch
        assert all(
            torch.equal(value, resumed.weights()[name]) for name, value in whole.weights().items()
        )


def _trainer(
    network: ResidualMLP,
    *,
    kind: type[Trainer] = Trainer,
    learning_rate: float = 1e-3,
    max_epochs: int = 3,
    callbacks: list[Callback] | None = None,
) -> Trainer:
    return kind(
        network,
        learning_rate=learning_rate,
        batch_size=32,
        max_epochs=max_epochs,
        generator=torch.Generator().manual_seed(0),
        callbacks=callbacks or [],
    )
