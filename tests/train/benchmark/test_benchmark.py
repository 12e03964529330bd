"""The benchmark: equal materials, what is missing, bad cells, comparisons, tables, figure."""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import synthetic_store as toy
from click.testing import CliRunner, Result
from here import train_here

from featurestore.errors import FeatureStoreError, InvalidInputError, UnknownNameError
from featurestore.failure import Failure
from featurestore.output.figures import figure_models
from featurestore.store import FeatureStore
from train.analysis.predictions import fold_errors
from train.benchmark import run as benchmark_run
from train.benchmark.common import common_materials
from train.benchmark.grid import Cell, Grid
from train.benchmark.output import benchmark_table
from train.benchmark.published import read_published
from train.benchmark.run import Benchmark, run_benchmark, stored_benchmark
from train.benchmark.workers import train_cells
from train.cli.root import train
from train.workers import Trained

QUICK = {"mlp": {"widths": [32, 32], "max_epochs": 40, "learning_rate": 0.003}}
FAST_TREES = {"gbt": {"max_epochs": 30}}
GRID = Grid(
    properties=(toy.PROPERTY,),
    split=toy.SPLIT,
    features=(),
    text_sources=("robocrystallographer",),
    structure_encoders=("toy-graph",),
    text_encoders=("toy-text",),
    predictors=("mlp", "gbt", "mean"),
    seeds=(0, 1),
    changes=QUICK | FAST_TREES,
)
# One text source and one property that are not there, and a predictor that diverges.
BAD = replace(
    GRID,
    properties=(toy.PROPERTY, "slme"),
    text_sources=("robocrystallographer", "nosuch"),
    features=("structure", "structure+text"),
    changes={"mlp": QUICK["mlp"] | {"learning_rate": 1e35}} | FAST_TREES,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """100 materials; 80 of them have a text."""
    return toy.make_store(tmp_path_factory.mktemp("stores") / "store", 100, with_text=80)


@pytest.fixture(scope="module")
def result(store: FeatureStore) -> Benchmark:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmark_run, "train_cells", train_here)
        return run_benchmark(store, GRID, jobs=1)


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells are trained here: workers take seconds to start."""
    monkeypatch.setattr(benchmark_run, "train_cells", train_here)


def test_every_combination_is_a_row(result: Benchmark) -> None:
    rows = [(row.features, row.cell.predictor, len(row.models)) for row in result.rows]
    assert rows == [
        ("none", "mean", 1),
        ("structure", "mlp", 2),
        ("structure", "gbt", 2),
        ("text", "mlp", 2),
        ("text", "gbt", 2),
        ("structure+text", "mlp", 2),
        ("structure+text", "gbt", 2),
    ]
    assert result.trained == 13
    assert not result.failures


def test_all_rows_rest_on_the_materials_that_every_feature_set_has(
    store: FeatureStore, result: Benchmark
) -> None:
    (note,) = result.notes
    assert "compared on the 80 materials that every feature set has" in note
    assert {tuple(row.fold_sizes.values()) for row in result.rows} == {(48, 16, 16)}
    split = result.rows[0].cell.request.split
    assert split is not None and split.startswith("toy-common-")
    assert {row.models[0].parameters.split for row in result.rows} == {split}
    stored = store.sql("SELECT material_id FROM splits WHERE split = ? ORDER BY ALL", [split])
    assert stored["material_id"].to_pylist() == [f"toy-{i:03}" for i in range(80)]


def test_equal_materials_keep_the_split(tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 20)
    with store.session() as session:
        common = common_materials(session, [cell.request for cell in GRID.cells(toy.PROPERTY)])
    assert (common.split, common.note, common.unusable) == (toy.SPLIT, "", {})


def test_no_common_material_is_said(tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 20, sources=("chemnlp",), with_text=10)
    with store.session() as session:
        chemnlp = session.query("FROM generators").to_pylist()[0]
    other = chemnlp | {"generator_id": "robocrystallographer_0000000003"}
    store.merge_rows("generators", [other | {"source": "robocrystallographer"}])
    rows = store.sql("FROM sentences WHERE structure_id = 'structure-1'").to_pylist()
    moved = [
        row | {"generator_id": other["generator_id"], "structure_id": "structure-15"}
        for row in rows
    ]
    store.merge_rows("sentences", moved)
    grid = replace(GRID, text_sources=("chemnlp", "robocrystallographer"), features=("text",))
    found = stored_benchmark(store, grid)
    messages = {failure.message for failure in found.failures.values()}
    assert len(messages) == 1
    assert "no material of mbj_bandgap has all that is to be compared" in messages.pop()


def test_numbers_are_those_of_the_stored_predictions(
    store: FeatureStore, result: Benchmark
) -> None:
    for row in result.rows:
        maes = [model.metrics["folds"]["test"]["mae"] for model in row.models]
        assert list(row.seed_errors.values()) == pytest.approx(maes)
        assert row.test_error.value == pytest.approx(np.mean(maes))
        assert row.test_error.low < row.test_error.value < row.test_error.high
        if len(maes) > 1:
            assert row.test_error_std == pytest.approx(np.std(maes, ddof=1))
    with store.session() as session:
        (errors,) = fold_errors(session, [result.rows[1].models[0].model_id]).values()
    np.testing.assert_array_equal(errors.errors, result.rows[1].errors[0])


def test_text_is_compared_with_the_structure_alone(result: Benchmark) -> None:
    by = {(row.features, row.cell.predictor): row for row in result.rows}
    for predictor in ("mlp", "gbt"):
        alone, both = by["structure", predictor], by["structure+text", predictor]
        gain = both.text_gain
        assert gain is not None and alone.text_gain is None
        assert gain.baseline == "structure"
        assert gain.seeds == 2
        means = [row.errors.mean(axis=0) for row in (alone, both)]
        assert gain.difference.gain.value == pytest.approx((means[0] - means[1]).mean())
        assert gain.p_corrected >= gain.difference.p
    helped = by["structure+text", "mlp"].text_gain
    assert helped is not None and helped.seeds_better == 2
    assert helped.p_corrected < 0.05, "half of the target is in the text"


def test_predictors_are_compared_with_the_first_that_is_no_constant(result: Benchmark) -> None:
    for row in result.rows:
        if row.cell.predictor == "gbt":
            assert row.predictor_gain is not None
            assert row.predictor_gain.baseline == "mlp"
        else:
            assert row.predictor_gain is None


def test_the_same_again_trains_nothing_and_shows_the_same(
    store: FeatureStore, result: Benchmark
) -> None:
    again = stored_benchmark(store, GRID)
    assert benchmark_table(again.rows).equals(benchmark_table(result.rows))
    assert (again.trained, again.found, again.notes) == (0, 13, result.notes)


def test_a_seed_that_is_not_stored_is_named(store: FeatureStore, result: Benchmark) -> None:
    grid = replace(GRID, seeds=(0, 7), predictors=("mlp",), changes=QUICK)
    found = stored_benchmark(store, grid)
    assert {cell.seed for cell in found.failures} == {7}
    assert len(found.failures) == 3
    assert {len(row.models) for row in found.rows} == {1}
    assert found.rows[0].test_error_std is None


@pytest.mark.slow
def test_bad_cells_do_not_lose_the_others_and_are_on_record(
    store: FeatureStore, result: Benchmark, in_process: None
) -> None:
    found = run_benchmark(store, BAD, jobs=1)
    assert [(row.features, row.cell.predictor) for row in found.rows] == [
        ("none", "mean"),
        ("structure", "gbt"),
        ("structure+text", "gbt"),
    ]
    reasons: dict[str, int] = {}
    for failure in found.failures.values():
        reasons[failure.error] = reasons.get(failure.error, 0) + 1
    # mlp diverges on two feature sets; 'nosuch' is in one; slme has a constant and three sets
    assert reasons == {"TrainingError": 4, "UnknownNameError": 4 + 1 + 12}
    recorded = store.sql(
        "SELECT context, count(*) AS n FROM failures WHERE stage = 'benchmark' GROUP BY ALL"
    ).to_pylist()
    assert {row["context"]: row["n"] for row in recorded} == {"slme": 13, toy.PROPERTY: 8}
    run = store.sql(
        "SELECT status, counts FROM runs WHERE command = 'train benchmark' "
        "ORDER BY started_at DESC LIMIT 1"
    ).to_pylist()
    counts = json.loads(run[0]["counts"])
    assert (run[0]["status"], counts["failed"]) == ("finished", 21)
    assert counts["trained"] + counts["found"] == 5
    # the cells of the first benchmark succeed again: what is on record for them goes
    again = run_benchmark(store, replace(GRID, features=("structure", "structure+text")), jobs=1)
    assert not again.failures
    left = store.sql("SELECT item FROM failures WHERE context = ?", [toy.PROPERTY])
    assert all("nosuch" in item for item in left["item"].to_pylist())


def test_an_interrupted_benchmark_goes_on(
    in_process: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = toy.make_store(tmp_path / "store", 40)
    grid = replace(
        GRID, predictors=("mlp",), features=("structure",), seeds=(0, 1, 2), changes=QUICK
    )

    def interrupted(*arguments: object) -> Iterator[tuple[Cell, Trained | Failure]]:
        yield next(iter(train_here(*arguments)))  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(benchmark_run, "train_cells", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_benchmark(store, grid, jobs=1)
    found = run_benchmark(store, grid, jobs=1)
    assert (found.found, found.trained) == (1, 2)
    statuses = store.sql("SELECT status FROM runs WHERE command = 'train benchmark' ORDER BY ALL")
    assert statuses["status"].to_pylist() == ["finished", "interrupted"]


@pytest.mark.slow
def test_a_killed_worker_loses_only_its_own_cell(tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 40)
    grid = replace(
        GRID, predictors=("mlp",), features=("structure",), seeds=tuple(range(4)), changes=QUICK
    )
    results = train_cells(store.uri, grid.cells(toy.PROPERTY), grid.changes, 1)
    outcomes = [next(results)[1]]
    for child in multiprocessing.active_children():
        child.kill()
    outcomes += [outcome for _, outcome in results]
    lost = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    assert len(outcomes) == 4
    assert len(lost) <= 2
    assert all(failure.error == "WorkerDied" for failure in lost)


@pytest.mark.slow
def test_bytes_do_not_depend_on_the_number_of_processes(
    tmp_path: Path, store: FeatureStore, result: Benchmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = toy.make_store(tmp_path / "store", 100, with_text=80)
    # All feature sets are needed for the same common materials; only these are trained.
    monkeypatch.setattr(
        benchmark_run,
        "train_cells",
        lambda uri, cells, changes, jobs: train_cells(
            uri, [cell for cell in cells if cell.request.features == "structure"], changes, jobs
        ),
    )
    run_benchmark(other, replace(GRID, predictors=("mlp", "gbt")), jobs=2)
    query = "SELECT model_id, weights FROM models ORDER BY model_id"
    ours, theirs = (
        {row["model_id"]: row["weights"] for row in place.sql(query).to_pylist()}
        for place in (other, store)
    )
    assert len(ours) == 4
    assert ours == {model_id: theirs[model_id] for model_id in ours}


def test_a_model_tested_on_other_materials_is_left_out(
    store: FeatureStore, result: Benchmark
) -> None:
    """As after texts have come between two cells of one benchmark."""
    victim = result.rows[1].models[0].model_id
    kept = store.sql(
        "SELECT * FROM predictions WHERE model_id = ? AND fold = 'test' ORDER BY ALL LIMIT 1",
        [victim],
    )
    store.remove(
        "predictions", f"model_id = '{victim}' AND material_id = '{kept['material_id'][0]}'"
    )
    try:
        found = stored_benchmark(store, GRID)
    finally:
        store.merge("predictions", kept)
    (failure,) = found.failures.values()
    assert failure.error == "OtherMaterials"
    assert victim in failure.message
    assert len(found.rows[1].models) == 1


@pytest.mark.parametrize(
    ("n", "targets", "message"),
    [(3, None, "at least 2 and 1 are needed"), (40, np.ones(40), None)],
)
def test_few_rows_and_constant_targets(
    in_process: None, tmp_path: Path, n: int, targets: np.ndarray | None, message: str | None
) -> None:
    store = toy.make_store(tmp_path / "store", n, targets=targets)
    grid = replace(
        GRID,
        predictors=("gbt", "mean"),
        features=("structure",),
        seeds=(0,),
        changes=FAST_TREES,
    )
    found = run_benchmark(store, grid, jobs=1)
    if message:
        assert not found.rows
        assert all(message in failure.message for failure in found.failures.values())
    else:
        assert [row.test_error.value for row in found.rows] == [0.0, 0.0]
        assert "all training targets are equal" in found.notes[0]


def test_an_empty_test_fold_has_no_error(in_process: None, tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 30)
    store.remove("splits", "fold = 'test'")
    grid = replace(GRID, predictors=("mean", "median"), features=("structure",), changes={})
    found = run_benchmark(store, grid, jobs=1)
    assert [np.isnan(row.test_error.value) for row in found.rows] == [True, True]
    assert benchmark_table(found.rows)["test_mae_std"].null_count == 2
    assert "the test fold is empty: there is no test error" in found.notes


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"predictors": ("mlpp",)}, UnknownNameError, "did you mean 'mlp'"),
        ({"changes": {"mlp": {"epochs": 3}}}, UnknownNameError, "unknown setting of 'mlp'"),
        ({"predictors": ("mean",), "changes": QUICK}, InvalidInputError, "not a --predictor"),
        (
            {"structure_encoders": (), "features": ("structure",)},
            InvalidInputError,
            "'structure' need --structure-encoder",
        ),
        (
            {"text_encoders": (), "features": ("text",)},
            InvalidInputError,
            "'text' need --text-encoder",
        ),
        ({"structure_encoders": (), "text_sources": ()}, InvalidInputError, "no features: name"),
    ],
)
def test_impossible_grids_are_refused(changes, error, message) -> None:
    with pytest.raises(error, match=message):
        replace(GRID, **changes).cells(toy.PROPERTY)


def test_matminer_is_boosted_trees_on_the_encoder_of_that_name() -> None:
    grid = replace(GRID, predictors=("mlp", "matminer"), features=("structure",))
    cells = [(cell.predictor, cell.request.structure_encoder) for cell in grid.cells("slme")]
    assert cells == [("gbt", "matminer")] * 2 + [("mlp", "toy-graph")] * 2
    assert grid.reference_predictor == "mlp"


PUBLISHED = (
    "property,features,text_source,model,test_mae\n"
    "mbj_bandgap,structure,,ALIGNN,0.27\n"
    "mbj_bandgap,structure+text,robocrystallographer,ALIGNN-BERT,0.25\n"
    "mbj_bandgap,structure+text,chemnlp,of another text,0.26\n"
)


def _run(store: FeatureStore, *arguments: str) -> Result:
    settings = [
        f"--set={n}.{k}={json.dumps(v)}" for n, d in GRID.changes.items() for k, v in d.items()
    ]
    command = ["benchmark", "--property", toy.PROPERTY, "--split", toy.SPLIT, "--no-train"]
    encoders = ["--structure-encoder", "toy-graph", "--text-encoder", "toy-text"]
    text = ["--text", "robocrystallographer"]
    predictors = [word for name in GRID.predictors for word in ("--predictor", name)]
    words = [*command, *encoders, *text, *predictors, *settings, *arguments, "--store", store.uri]
    return CliRunner().invoke(train, words)


@pytest.mark.slow
def test_tables_and_figure_from_the_command_line(
    store: FeatureStore, result: Benchmark, tmp_path: Path
) -> None:
    paper = tmp_path / "paper.csv"
    paper.write_text(PUBLISHED)
    figure = tmp_path / "out" / "benchmark.png"
    shown = _run(store, "--seeds", "2", "--paper", str(paper), "-o", str(figure))
    assert shown.exit_code == 0, shown.output
    assert "mbj_bandgap: test MAE in eV, split toy-common-" in shown.stdout
    assert "48 / 16 / 16 materials" in shown.stdout
    assert "0.25 (ALIGNN-BERT)" in shown.stdout
    assert "of another text" not in shown.stdout
    assert "Text helps in" in shown.stdout
    models = {model.model_id for row in result.rows for model in row.models}
    assert set(figure_models(figure)) == models
    markdown = _run(store, "--seeds", "2", "--format", "markdown").stdout.splitlines()
    lines = [line for line in markdown if line.startswith("|")]
    assert len(lines) == 2 + 7
    assert len({line.count("|") for line in lines}) == 1
    rows = list(csv.DictReader(io.StringIO(_run(store, "--seeds", "2", "--format", "csv").stdout)))
    assert float(rows[1]["test_mae"]) == result.rows[1].test_error.value
    assert rows[0]["features"] == "none"
    both = json.loads(_run(store, "--seeds", "2", "--format", "json").stdout)[5]
    assert both["text_gain_over"] == "structure"
    assert both["text_gain_p_holm"] >= both["text_gain_p"]


def test_missing_models_are_named_and_the_rest_is_shown(
    store: FeatureStore, result: Benchmark
) -> None:
    shown = _run(store, "--seed", "0", "--seed", "9")
    assert shown.exit_code == 1
    assert isinstance(shown.exception, FeatureStoreError)
    assert "structure" in shown.stdout
    assert "Failed: 6 × the store has no such model" in shown.stderr
    assert "mbj_bandgap, toy-graph, mlp, seed 9" in shown.stderr
    assert _run(store, "--seed", "0", "--seeds", "2").exit_code == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("property,features\n", "lacks the column text_source, model, test_mae"),
        (PUBLISHED.replace("0.27", "low"), "line 2: test_mae is no number"),
        (PUBLISHED.replace("structure,,", "crystal,,"), "line 2: features are"),
        (
            "property,features,text_source,model,test_mae,n_train\np,text,,m,0.1,many\n",
            "line 2: n_train is no whole number",
        ),
    ],
)
def test_bad_files_of_published_errors_are_named(
    tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "paper.csv"
    path.write_text(content)
    with pytest.raises(InvalidInputError, match=message):
        read_published(path)
    with pytest.raises(InvalidInputError, match="cannot read"):
        read_published(tmp_path / "nosuch.csv")
