"""Runs a benchmark: common materials, what is missing, then the rows from the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from featurestore.catalogue import find_encoder
from featurestore.errors import MissingDataError
from featurestore.failure import Failure
from featurestore.identity import canonical_json
from featurestore.output.display import Showing, Shown, figure_html, no_picture
from featurestore.output.progress import progress_bar
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from featurestore.views.parameters import ViewParameters, resolve
from train.benchmark.common import CommonMaterials, common_materials
from train.benchmark.grid import Cell, Grid
from train.benchmark.output import benchmark_table, verdicts
from train.benchmark.rows import BenchmarkRow, benchmark_rows
from train.benchmark.workers import train_cells
from train.models import StoredModel, stored_models
from train.source_tasks import source_warnings
from train.tasks.columns import errors_of
from train.workers import Trained

if TYPE_CHECKING:
    from featurestore.output.figure import Figure

_STAGE = "benchmark"


_SHOWN = ("property", "features", "text_source", "predictor", "seeds")
_COMPARED = ("set_gain", "set_gain_p_holm", "unit")


@dataclass(frozen=True, repr=False)
class Benchmark(Shown):
    """What a benchmark found.

    Parameters
    ----------
    rows : tuple of BenchmarkRow
        In order of the grid.
    failures : dict of Cell to Failure
        Models that are not among them, and why.
    notes : tuple of str
        What a reader of the numbers should know.
    trained, found : int
        Models that were trained, and that the store had.
    """

    rows: tuple[BenchmarkRow, ...]
    failures: dict[Cell, Failure]
    notes: tuple[str, ...]
    trained: int
    found: int

    @property
    def table(self) -> pa.Table:
        """Every number; see `benchmark_table`."""
        return benchmark_table(self.rows)

    def showing(self) -> Showing:
        """The rows in short, the notes, and what failed."""
        failed = [f"{cell}: {failure.message}" for cell, failure in self.failures.items()]
        title = f"Benchmark: {self.trained} models trained, {self.found} were there"
        errors = [
            f"test_{name}{suffix}"
            for name in errors_of(row.models.first for row in self.rows)
            for suffix in ("", "_std", "_low", "_high")
        ]
        shown = self.table.select([*_SHOWN, *errors, *_COMPARED]) if self.rows else None
        notes = (*self.notes, *verdicts(self.rows), *failed)
        drawn = any(row.errors.size for row in self.rows)
        picture = (lambda: figure_html(self.figure(), title)) if drawn else no_picture
        return Showing(title, {}, shown, notes, picture)

    def figure(self) -> Figure:
        """The errors with intervals, see `train.benchmark.figure.benchmark_figure`."""
        from train.benchmark.figure import benchmark_figure

        return benchmark_figure(self.rows)


@dataclass
class _Plan:
    """The cells that can be had, and those that cannot."""

    cells: list[Cell] = field(default_factory=list)
    common: dict[str, CommonMaterials] = field(default_factory=dict)
    failures: dict[Cell, Failure] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def run_benchmark(store: FeatureStore, grid: Grid, jobs: int) -> Benchmark:
    """Train what is missing and return all rows.

    Every model is stored when it is done, so that a killed benchmark goes on where it was. A cell
    that fails is named and kept in ``failures``; the others go on.

    Parameters
    ----------
    store : FeatureStore
        Read and written.
    grid : Grid
        What to compare.
    jobs : int
        Worker processes.
    """
    with store.session() as session:
        plan = _planned(session, grid)
    arguments = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in vars(grid).items()
        if name != "changes"
    } | {"changes": {name: dict(values) for name, values in grid.changes.items()}}
    trained: dict[Cell, Trained] = {}
    with store.run("train benchmark", arguments) as run:
        for name, common in plan.common.items():
            if common.split != grid.split:
                common.store(store, name, run)
        try:
            with progress_bar(len(plan.cells), "benchmark", "models") as progress:
                for cell, result in train_cells(store.uri, plan.cells, grid.changes, jobs):
                    if isinstance(result, Failure):
                        plan.failures[cell] = result
                    else:
                        trained[cell] = result
                    progress.update()
        finally:
            _keep_failures(store, plan, trained, run)
            new = sum(result.is_new for result in trained.values())
            run.counts = {
                "trained": new,
                "found": len(trained) - new,
                "failed": len(plan.failures),
            }
    with store.session() as session:
        stored = {model.model_id: model for model in stored_models(session)}
        # Workers finish in any order, the table does not.
        models = {cell: stored[trained[cell].model_id] for cell in plan.cells if cell in trained}
        rows, others = benchmark_rows(session, models, grid.reference_predictor, grid.compared_with)
    notes = [note for result in trained.values() for note in result.notes]
    notes = [note for note in notes if not note.startswith("left out:")]
    return Benchmark(
        rows=tuple(rows),
        failures=plan.failures | others,
        notes=tuple(dict.fromkeys([*plan.notes, *notes])),
        trained=new,
        found=len(trained) - new,
    )


def stored_benchmark(store: FeatureStore, grid: Grid) -> Benchmark:
    """The rows of the models that are stored; nothing is trained or written.

    Where the same request was trained on several states of the store, the newest model counts.
    """
    with store.session() as session:
        plan = _planned(session, grid)
        newest = {
            (_identity(model.parameters), model.predictor, _settings(model), model.seed): model
            for model in stored_models(session)
        }
        models: dict[Cell, StoredModel] = {}
        for cell in plan.cells:
            parameters = resolve(session, cell.request)
            recipe = grid.recipe(cell.predictor, bool(parameters.classes))
            settings = repr(sorted(recipe.settings.items()))
            key = (_identity(parameters), cell.predictor, settings, cell.seed)
            if key in newest:
                models[cell] = newest[key]
            else:
                plan.failures[cell] = Failure(
                    "NotTrained", "the store has no such model; run without --no-train"
                )
        rows, others = benchmark_rows(session, models, grid.reference_predictor, grid.compared_with)
    return Benchmark(
        rows=tuple(rows),
        failures=plan.failures | others,
        notes=tuple(plan.notes),
        trained=0,
        found=len(models),
    )


def _identity(parameters: ViewParameters) -> str:
    return canonical_json(parameters.identity())


def _settings(model: StoredModel) -> str:
    return repr(sorted(model.settings.items()))


def _planned(session: Session, grid: Grid) -> _Plan:
    """The cells of all properties on their common materials."""
    plan = _Plan()
    for name in grid.properties:
        cells = grid.cells(name)
        try:
            common = common_materials(session, [cell.request for cell in cells])
        except MissingDataError as error:
            plan.failures |= dict.fromkeys(cells, Failure.of(error))
            continue
        plan.common[name] = common
        usable = [cell for cell in cells if cell.request not in common.unusable]
        plan.failures |= {
            cell: common.unusable[cell.request] for cell in cells if cell not in set(usable)
        }
        plan.cells += [
            replace(cell, request=replace(cell.request, split=common.split)) for cell in usable
        ]
        if common.note:
            plan.notes.append(common.note)
        views = [resolve(session, request) for request in {cell.request: None for cell in usable}]
        read = dict.fromkeys((part.encoder_id, part.kind) for v in views for part in v.vectors)
        plan.notes += source_warnings([find_encoder(session, *one) for one in read], name)
    return plan


def _keep_failures(
    store: FeatureStore, plan: _Plan, trained: Mapping[Cell, Trained], run: Run
) -> None:
    """Put this run's failures on record and clear those of cells that have succeeded since."""
    contexts = {cell.request.property for cell in (*plan.failures, *trained)}
    for name in contexts:
        failed = {
            str(cell): failure
            for cell, failure in plan.failures.items()
            if cell.request.property == name
        }
        store.record_failures(_STAGE, name, failed, run)
        solved = [str(cell) for cell in trained if cell.request.property == name]
        store.clear_failures(_STAGE, name, solved)
