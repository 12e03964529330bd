"""Sixty materials: 90 % intervals by CV+ beside those of split conformal prediction.

``python -m benchmarks.small_data STORE --property mbj_bandgap --structure-encoder alignn-ff`` draws
60 materials ten times and 900 others to test on, makes of each draw what ``train final`` and
``train fit`` would store and ``predict`` would tell, and prints coverage and width. It writes
nothing into the store.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.cli.options import count_option, require_features
from featurestore.output.rows import print_table
from featurestore.store import FeatureStore
from featurestore.views.request import ViewRequest
from featurestore.views.view import TrainingView
from train.crossfit.cv_plus import CrossCalibration
from train.forecasts.calibration import Bounds, Calibration
from train.forecasts.domain import Domain
from train.predictors.base import Examples, Fitted, Recipe, UncertainPredictor
from train.predictors.registry import make_recipe, predictor_part

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


class _Quiet:
    """Progress that nobody watches."""

    def update(self, done: int = 1) -> None:
        """Nothing."""


@dataclass(frozen=True)
class _Case:
    """One draw: rows of a view to learn from, and rows to test on."""

    view: TrainingView
    learned: Rows
    tested: Rows
    recipe: Recipe
    seed: int

    def fitted(self, train: Rows, val: Rows) -> Fitted:
        """A training on some of the rows, places in ``learned``."""
        return self.recipe.fit(self._examples(train), self._examples(val), self.seed, _Quiet())

    def _examples(self, places: Rows) -> Examples:
        rows = self.learned[places]
        return Examples(self.view.features[rows], self.view.targets[rows], self.view.segments)

    def features(self, places: Rows) -> npt.NDArray[np.float32]:
        """Of some of the rows."""
        return self.view.features[self.learned[places]]

    def domain(self, places: Rows) -> Domain:
        """The training materials, for distances."""
        rows = self.learned[places]
        return Domain(
            material_ids=tuple(self.view.material_ids[row] for row in rows),
            targets=self.view.targets[rows],
            features=self.view.features[rows],
            parts=tuple((block.name, block.start, block.stop) for block in self.view.blocks),
            elements=frozenset(),
            prototypes=frozenset(),
            ranges={},
        )

    def ratios(self, domain: Domain, rows: Rows) -> Floats:
        """Distances of rows of the view to the training materials."""
        ids = [self.view.material_ids[row] for row in rows]
        return domain.distances(self.view.features[rows], ids).ratio


def _told(case: _Case, way: str, predictions: Floats, bounds: Bounds) -> dict[str, Any]:
    targets, ends = case.view.targets[case.tested], bounds.interval(predictions)
    row: dict[str, Any] = {"way": way, "draw": case.seed}
    row["mae"] = float(np.abs(predictions - targets).mean())
    if ends is not None:
        row["covered"] = float(np.mean((ends[0] <= targets) & (targets <= ends[1])))
        row["width"] = float(np.mean(ends[1] - ends[0]))
    return row


def _by_cv_plus(case: _Case, folds: int) -> Iterator[dict[str, Any]]:
    n, generator = len(case.learned), np.random.default_rng([case.seed, folds])
    fold_of = np.empty(n, dtype=np.int64)
    fold_of[generator.permutation(n)] = np.arange(n) % folds
    residuals, of_folds = np.empty(n), []
    for fold in range(folds):
        out = np.flatnonzero(fold_of == fold)
        rest = generator.permutation(np.flatnonzero(fold_of != fold))
        stop = max(round(len(rest) / 10), 1)
        model = case.fitted(rest[stop:], rest[:stop]).predictor
        residuals[out] = model.predict(case.features(out)) - case.view.targets[case.learned[out]]
        of_folds.append(model.predict(case.view.features[case.tested]))
    order = generator.permutation(n)
    stop = max(round(n / 12), 1)
    whole = case.fitted(order[stop:], order[:stop]).predictor
    predictions = whole.predict(case.view.features[case.tested])
    domain = case.domain(np.arange(n))
    known, new = (case.ratios(domain, rows) for rows in (case.learned, case.tested))
    stacked = np.stack(of_folds, axis=1)
    for label, ratios in (("", None), (", wider with distance", known)):
        calibration = Calibration.of(residuals, None, ratios)
        cross = CrossCalibration.of(folds, fold_of, residuals, ratios, calibration.power)
        bounds = cross.bounds(stacked, None if ratios is None else new, calibration)
        yield _told(case, f"CV+, {folds} folds{label}", predictions, bounds)


def _by_split(case: _Case, n_val: int) -> dict[str, Any]:
    order = np.random.default_rng([case.seed, 0, n_val]).permutation(len(case.learned))
    val, train = order[:n_val], order[n_val:]
    fitted = case.fitted(train, val)
    held = fitted.rehearsed or fitted.predictor
    new = case.view.features[case.tested]
    stds = [
        found.std if isinstance(one, UncertainPredictor) and (found := one.uncertainty(x)) else None
        for one, x in ((held, case.features(val)), (fitted.predictor, new))
    ]
    residuals = held.predict(case.features(val)) - case.view.targets[case.learned[val]]
    domain = case.domain(train)
    ratios = case.ratios(domain, case.learned[val]), case.ratios(domain, case.tested)
    calibration = Calibration.of(residuals, stds[0], ratios[0])
    bounds = calibration(len(new), stds[1], ratios[1])
    way = f"split, {len(train)} + {n_val}"
    return _told(case, way, fitted.predictor.predict(new), bounds)


def _summary(rows: list[dict[str, Any]]) -> pa.Table:
    """A row for each way: means over draws, and the least and greatest coverage of one."""
    made = []
    for way in dict.fromkeys(row["way"] for row in rows):
        of_way = [row for row in rows if row["way"] == way]
        covered = [row["covered"] for row in of_way if "covered" in row]
        widths = [row["width"] for row in of_way if "width" in row]
        row: dict[str, Any] = {"way": way, "draws": len(of_way), "with_interval": len(covered)}
        row["mae"] = round(float(np.mean([row["mae"] for row in of_way])), 4)
        if covered:
            row["covered"] = round(float(np.mean(covered)), 3)
            row |= {"least": round(min(covered), 3), "greatest": round(max(covered), 3)}
            row["width"] = round(float(np.mean(widths)), 3)
            row["std_of_width"] = round(float(np.std(widths)), 3)
        made.append(row)
    return pa.Table.from_pylist(made)


@click.command()
@click.argument("store", type=click.Path(exists=True, path_type=Path))
@click.option("--property", "property_name", required=True, help="What to predict.")
@click.option("--split", default="paper", show_default=True, help="Whose materials are drawn from.")
@click.option("--structure-encoder", help="Name of the encoder.")
@click.option("--feature-set", help="In its place a stored feature set.")
@click.option("--predictor", default="ensemble", show_default=True, help="Any predictor.")
@click.option("--set", "settings", multiple=True, help="NAME=VALUE of the predictor.")
@count_option("--n", 60, "Materials of a draw.")
@count_option("--tested", 900, "Others that it is tested on.")
@count_option("--draws", 10, "Draws.")
@click.option("--folds", type=int, multiple=True, default=(5, 10), help="Of the cross-validation.")
@click.option(
    "--val", type=int, multiple=True, default=(12, 20), help="Of the split, to calibrate."
)
@click.option(
    "--rows",
    type=click.Path(path_type=Path),
    help="A line for each draw and way; draws that it has already are not made again.",
)
def main(
    store: Path,
    property_name: str,
    split: str,
    structure_encoder: str | None,
    feature_set: str | None,
    predictor: str,
    settings: tuple[str, ...],
    n: int,
    tested: int,
    draws: int,
    folds: tuple[int, ...],
    val: tuple[int, ...],
    rows: Path | None,
) -> None:
    """Print coverage and width of 90 % intervals where few materials are known."""
    request = ViewRequest(
        property_name, structure_encoder=structure_encoder, feature_set=feature_set, split=split
    )
    require_features(request)
    view = FeatureStore.open(store).view(request)
    recipe = make_recipe(predictor, predictor_part(predictor).parsed(settings))
    found: list[dict[str, Any]] = []
    if rows is not None and rows.exists():
        found = [json.loads(line) for line in rows.read_text("utf-8").splitlines()]
    done = {row["draw"] for row in found}
    start = time.process_time()
    for seed in sorted(set(range(draws)) - done):
        order = np.random.default_rng(seed).permutation(len(view))
        case = _Case(view, order[:n], order[n : n + tested], recipe, seed)
        of_draw = [_by_split(case, one) for one in val]
        for one in folds:
            of_draw += _by_cv_plus(case, one)
        found += of_draw
        if rows is not None:
            with rows.open("a", encoding="utf-8") as lines:
                lines.writelines(json.dumps(row) + "\n" for row in of_draw)
    print_table(_summary(found))
    click.echo(f"{time.process_time() - start:.0f} CPU seconds", err=True)


if __name__ == "__main__":
    main()
