"""The recipe: rehearse on the training fold, choose by the validation fold, learn from both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from featurestore.output.progress import Progress
from train.predictors.base import Epoch, Examples, Fitted, OnVectors, joined
from train.predictors.ensemble.gaussian_process import GaussianProcess
from train.predictors.ensemble.kernel import Floats, Tuned
from train.predictors.ensemble.networks import Networks, train_networks
from train.predictors.ensemble.predictor import EnsemblePredictor, blend, mean_in_unit
from train.predictors.ensemble.settings import (
    SHARES,
    EnsembleSettings,
    random_rows,
    segments_of,
)
from train.predictors.ensemble.targets import TRANSFORMATIONS, TargetScale
from train.predictors.ensemble.tuning import best_tuned
from train.predictors.errors import TrainingError
from train.predictors.uncertainty import TOO_FEW_ROWS, Calibration


@dataclass(frozen=True)
class Ensemble(EnsembleSettings, OnVectors):
    """An exact Gaussian process and residual networks, averaged.

    Each segment of the features is brought to the same size; the process's kernel has a weight for
    each, so that a text that says nothing is switched off, and the networks' inputs are sized by
    the same weights. It trains twice. The rehearsal learns from the training rows alone: on these
    the leave-one-out error chooses whether the process sees targets as they are or as square roots,
    and the validation rows choose the same for the networks (half of the members learn either), the
    shares of both parts in the average, and the calibration of the uncertainty. With all of that
    fixed, process and networks (a deep ensemble, Lakshminarayanan et al., NeurIPS 2017) learn from
    training and validation rows together; networks whose share is zero are not trained again.

    The settings are those of `EnsembleSettings`.
    """

    def fit(self, train: Examples, val: Examples, seed: int, progress: Progress) -> Fitted:
        """Rehearse on ``train``, choose and calibrate by ``val``, learn from both.

        The history is the rehearsal's, whose validation error is of rows it did not learn from.

        Parameters
        ----------
        train, val : Examples
            With segments; without, all columns are one.
        seed : int
            Of the networks' weights, the shuffling and the random choices of rows.
        progress : Progress
            Told of each epoch of the networks.

        Raises
        ------
        TrainingError
            If the training diverges.
        """
        generator = torch.Generator().manual_seed(seed)
        kernel, transformation = self._tuned(train, generator)
        choices = self._trained(
            train, kernel, transformation, TRANSFORMATIONS, generator, progress, val
        )
        rehearsed, history = min(choices, key=lambda choice: _or_infinite(choice[1][-1].val_mae))
        parts = rehearsed.parts(val.features)
        share = _best_share(*parts, val.targets)
        calibration = Calibration.of(
            blend(*parts, share) - val.targets, rehearsed.raw_scales(val.features)
        )
        rows = joined(train, val) if self.learn_from_val else train
        of_networks = [rehearsed.network_targets.transformation]
        [(trained, _)] = self._trained(
            rows, kernel, transformation, of_networks, generator, progress, networks=share < 1
        )
        details = {
            "transformation": transformation,
            "transformation_of_networks": of_networks[0],
            "share_of_process": share,
            "kernel_weights": {
                name: float(weight)
                for (name, *_), weight in zip(segments_of(train), kernel.weights, strict=True)
            },
            "nugget": kernel.nugget,
        }
        return Fitted(
            predictor=replace(trained, share=share, calibration=calibration),
            history=history,
            best_epoch=len(history),
            details=details,
            rehearsed=replace(rehearsed, share=share, calibration=calibration)
            if self.learn_from_val
            else None,
            notes=() if calibration else (TOO_FEW_ROWS,),
        )

    def _tuned(self, train: Examples, generator: torch.Generator) -> tuple[Tuned, str]:
        """The kernel tuned with the transformation of the lower leave-one-out error."""
        chosen = random_rows(train, self.rows_to_tune, generator)
        projection = self.projection(train)
        kernel, scale = best_tuned(
            projection(train.features[chosen]), projection.slices, train.targets[chosen]
        )
        return kernel, scale.transformation

    def _trained(
        self,
        rows: Examples,
        kernel: Tuned,
        transformation: str,
        of_networks: Sequence[str],
        generator: torch.Generator,
        progress: Progress,
        val: Examples | None = None,
        networks: bool = True,
    ) -> list[tuple[EnsemblePredictor, list[Epoch]]]:
        """For each of the networks' transformations, which the members share, all trained."""
        projection = self.projection(rows)
        inputs = projection(rows.features)
        process_targets = TargetScale.of(rows.targets, transformation)
        kept = random_rows(rows, self.rows_of_process, generator)
        process = GaussianProcess.fit(
            inputs[kept], process_targets.scaled(rows.targets[kept]), kernel, projection.slices
        )
        sizes = kernel.sizes(projection.slices, self.kernel_power)
        scales = [TargetScale.of(rows.targets, name) for name in of_networks[: self.members]]
        scaled = np.stack([scale.scaled(rows.targets) for scale in scales])
        wanted = scaled[np.arange(self.members) % len(scales)]
        if val is not None:
            val = replace(val, features=projection(val.features) * sizes)
        watch = _Watch(scales, rows, val, progress)
        trained = None
        if networks:
            trained = train_networks(
                inputs * sizes, wanted, self.network_settings, generator, watch
            ).behind(sizes)
        else:
            progress.update(self.epochs)
        return [
            (
                EnsemblePredictor(
                    projection=projection,
                    process=process,
                    process_targets=process_targets,
                    networks=trained and trained.some(learners),
                    network_targets=scale,
                    share=1.0,
                    calibration=None,
                ),
                history,
            )
            for learners, scale, history in zip(
                watch.learners, scales, watch.histories, strict=True
            )
        ]


class _Watch:
    """After each epoch the errors of the members that learn each of the scales in turn.

    The features of the validation rows are the networks' inputs. Without such rows the validation
    error of the history is the training error.
    """

    def __init__(
        self,
        scales: Sequence[TargetScale],
        rows: Examples,
        val: Examples | None,
        progress: Progress,
    ) -> None:
        self.scales, self.rows, self.val, self.progress = scales, rows, val, progress
        self.learners = [slice(number, None, len(scales)) for number in range(len(scales))]
        self.histories: list[list[Epoch]] = [[] for _ in scales]

    def __call__(self, epoch: int, networks: Networks, seen: Floats) -> None:
        train_maes = val_maes = self._maes(seen, self.rows)
        if self.val is not None:
            val_maes = self._maes(networks.members(self.val.features), self.val)
        if not math.isfinite(min(map(_or_infinite, val_maes))):
            raise TrainingError(
                f"the training diverged in epoch {epoch}: the error is no longer a finite "
                "number; look for outliers among the targets and the vectors"
            )
        for history, *maes in zip(self.histories, train_maes, val_maes, strict=True):
            history.append(Epoch(epoch, *maes))
        self.progress.update()

    def _maes(self, predictions: Floats, rows: Examples) -> list[float]:
        return [
            float(np.abs(mean_in_unit(scale, predictions[learners]) - rows.targets).mean())
            for scale, learners in zip(self.scales, self.learners, strict=True)
        ]


def _best_share(process: Floats, networks: Floats, targets: Floats) -> float:
    """The process's share in the average that has the lowest mean absolute error."""
    errors = [np.abs(blend(process, networks, share) - targets).mean() for share in SHARES]
    return SHARES[int(np.argmin(errors))]


def _or_infinite(error: float) -> float:
    return math.inf if math.isnan(error) else error
