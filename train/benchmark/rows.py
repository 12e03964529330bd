"""The rows of a benchmark: errors over seeds, intervals over materials, paired comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from featurestore.failure import Failure
from featurestore.session import Session
from featurestore.views.request import FOLDS
from train.analysis.predictions import FoldErrors, fold_errors
from train.analysis.resampling import (
    Estimate,
    PairedDifference,
    bootstrap_means,
    holm,
    interval,
    paired_difference,
)
from train.benchmark.grid import Cell
from train.models import SeedGroup, StoredModel
from train.predictors.registry import reads


@dataclass(frozen=True)
class Comparison:
    """A row against another one on the same materials.

    Each material's error, absolute or of classes its Brier score, is averaged over the seeds that
    both rows have, then the two are compared material by material.

    Parameters
    ----------
    baseline : str
        What the row is compared with.
    difference : PairedDifference
        Of the errors; positive where the row is better than the baseline.
    seeds : int
        Seeds that both have.
    seeds_better : int
        With so many of them the row's test error is lower.
    p_corrected : float
        The test's p after Holm's correction for all comparisons of this kind in the benchmark.
    """

    baseline: str
    difference: PairedDifference
    seeds: int
    seeds_better: int
    p_corrected: float


@dataclass(frozen=True)
class BenchmarkRow:
    """The models of one benchmark that differ only by their seed.

    Parameters
    ----------
    cell : Cell
        The first of them.
    models : SeedGroup
        In order of the seed.
    errors : ndarray, shape (n_seeds, n), float64
        On the n test materials, which are the same for all rows of a property: absolute errors, or
        Brier scores of classes.
    test_error : Estimate
        Mean over seeds and materials; its interval is over materials.
    text_gain : Comparison, optional
        A row with structure and text against the same predictor's with the structure alone.
    predictor_gain : Comparison, optional
        Against the benchmark's first predictor on the same features.
    set_gain : Comparison, optional
        A feature set against the reference's, by the same predictor.
    """

    cell: Cell
    models: SeedGroup
    errors: npt.NDArray[np.float64] = field(repr=False)
    test_error: Estimate
    text_gain: Comparison | None = None
    predictor_gain: Comparison | None = None
    set_gain: Comparison | None = None

    @property
    def features(self) -> str:
        """The features, ``none`` for a constant."""
        request = self.cell.request
        if reads(self.cell.predictor) == "nothing":
            return "none"
        return request.feature_set or str(request.features)

    @property
    def seed_errors(self) -> dict[int, float]:
        """The test error by seed."""
        maes = self.errors.mean(axis=1) if self.errors.size else np.full(len(self.errors), np.nan)
        return dict(zip(self.models.seeds, map(float, maes), strict=True))

    @property
    def test_error_std(self) -> float | None:
        """Sample standard deviation of the test error over the seeds; None for a single seed."""
        maes = list(self.seed_errors.values())
        return float(np.std(maes, ddof=1)) if len(maes) > 1 and self.errors.size else None

    @property
    def val_error(self) -> float:
        """Mean over the seeds of the validation error."""
        return float(self.models.mean(lambda model: model.error("val")))

    @property
    def seconds(self) -> float:
        """Mean over the seeds of the time of training."""
        return float(self.models.mean(lambda model: model.metrics["seconds"]))

    @property
    def coverage_90(self) -> float | None:
        """Mean over the seeds of the share of test targets in the predictor's 90 % intervals."""
        return self._at_90("coverage")

    @property
    def set_size_90(self) -> float | None:
        """Mean over the seeds of the mean size of the sets of classes that hold 90 %."""
        return self._at_90("set_size")

    def _at_90(self, what: str) -> float | None:
        found = [model.metrics.get(what, {}).get("0.90") for model in self.models]
        return None if None in found else float(np.mean(found))

    @property
    def fold_sizes(self) -> dict[str, int]:
        """Rows of each fold."""
        folds = self.models.first.metrics["folds"]
        return {fold: int(folds[fold]["n"]) for fold in FOLDS}


def benchmark_rows(
    session: Session,
    models: Mapping[Cell, StoredModel],
    reference_predictor: str | None,
    reference_set: str | None = None,
) -> tuple[list[BenchmarkRow], dict[Cell, Failure]]:
    """The rows of all properties, in the order of the cells, and the cells left out of them.

    A model that was tested on other materials than the first of its property is left out: the
    store has grown between the two.

    Parameters
    ----------
    session : Session
        Where the predictions are.
    models : mapping
        The model of each cell.
    reference_predictor : str or None
        What other predictors are compared with.
    reference_set : str, optional
        What other feature sets are compared with.
    """
    tested = fold_errors(session, [model.model_id for model in models.values()])
    first: dict[str, FoldErrors] = {}
    failures: dict[Cell, Failure] = {}
    kept: dict[tuple[object, str], list[Cell]] = {}
    for cell, model in models.items():
        errors = tested[model.model_id]
        if errors.material_ids == first.setdefault(cell.request.property, errors).material_ids:
            kept.setdefault((cell.request, cell.predictor), []).append(cell)
        else:
            failures[cell] = Failure(
                "OtherMaterials",
                f"model {model.model_id} was tested on other materials than the first model of "
                "this property: the store has changed since; run the benchmark again",
            )
    by_property: dict[str, list[BenchmarkRow]] = {}
    for cells in kept.values():
        ordered = SeedGroup(
            tuple(models[cell] for cell in sorted(cells, key=lambda cell: cell.seed))
        )
        errors_of_seeds = np.stack([tested[model.model_id].errors for model in ordered])
        row = BenchmarkRow(
            cell=cells[0],
            models=ordered,
            errors=errors_of_seeds,
            test_error=Estimate(np.nan, np.nan, np.nan),
        )
        by_property.setdefault(cells[0].request.property, []).append(row)
    rows = [row for group in by_property.values() for row in _with_intervals(group)]
    rows = _with_comparisons(rows, reference_predictor, reference_set)
    return rows, failures


def _with_intervals(rows: Sequence[BenchmarkRow]) -> list[BenchmarkRow]:
    """Rows of one property with their test error; all are resampled with the same draws."""
    if not rows[0].errors.size:
        return list(rows)
    means = np.column_stack([row.errors.mean(axis=0) for row in rows])
    low, high = interval(bootstrap_means(means))
    estimates = zip(means.mean(axis=0), low, high, strict=True)
    return [
        replace(row, test_error=Estimate(*map(float, bounds)))
        for row, bounds in zip(rows, estimates, strict=True)
    ]


def _with_comparisons(
    rows: Sequence[BenchmarkRow], reference_predictor: str | None, reference_set: str | None
) -> list[BenchmarkRow]:
    by_key = {(row.cell.request, row.cell.predictor): row for row in rows}
    text, predictor, sets = {}, {}, {}
    for number, row in enumerate(rows):
        request, name = row.cell.request, row.cell.predictor
        if reads(name) == "nothing":
            continue
        if request.features == "structure+text":
            alone = replace(request, features="structure", text_source=None, text_encoder=None)
            found = by_key.get((alone, name))
            if found is not None and (comparison := _compared(found, row, "structure")):
                text[number] = comparison
        if request.feature_set not in (None, reference_set):
            found = by_key.get((replace(request, feature_set=reference_set), name))
            if found is not None and (comparison := _compared(found, row, str(reference_set))):
                sets[number] = comparison
        found = by_key.get((request, reference_predictor)) if reference_predictor else None
        if found is None or name == reference_predictor:
            continue
        if comparison := _compared(found, row, str(reference_predictor)):
            predictor[number] = comparison
    text, predictor, sets = _corrected(text), _corrected(predictor), _corrected(sets)
    return [
        replace(
            row,
            text_gain=text.get(number),
            predictor_gain=predictor.get(number),
            set_gain=sets.get(number),
        )
        for number, row in enumerate(rows)
    ]


def _compared(baseline: BenchmarkRow, row: BenchmarkRow, label: str) -> Comparison | None:
    """None where the rows share no seed or there is no test material."""
    theirs, ours = _by_seed(baseline), _by_seed(row)
    seeds = [seed for seed in ours if seed in theirs]
    if not seeds or not row.errors.shape[1]:
        return None
    first = np.stack([theirs[seed] for seed in seeds])
    second = np.stack([ours[seed] for seed in seeds])
    better = int((second.mean(axis=1) < first.mean(axis=1)).sum())
    difference = paired_difference(first.mean(axis=0), second.mean(axis=0))
    return Comparison(
        baseline=label,
        difference=difference,
        seeds=len(seeds),
        seeds_better=better,
        p_corrected=difference.p,
    )


def _by_seed(row: BenchmarkRow) -> dict[int, npt.NDArray[np.float64]]:
    return dict(zip(row.models.seeds, row.errors, strict=True))


def _corrected(comparisons: Mapping[int, Comparison]) -> dict[int, Comparison]:
    corrected = holm([comparison.difference.p for comparison in comparisons.values()])
    return {
        number: replace(comparison, p_corrected=p)
        for (number, comparison), p in zip(comparisons.items(), corrected, strict=True)
    }
