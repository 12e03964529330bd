"""Errors by group against counts and means made by hand; parity and leaderboard files."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import synthetic_store as toy
from click.testing import CliRunner, Result

from featurestore.errors import FeatureStoreError, InvalidInputError, MissingDataError
from featurestore.output.figures import figure_models
from featurestore.session import QueryError
from featurestore.store import FeatureStore
from train.analysis.groups import BEST, ModelGroups, group_errors
from train.analysis.groups_figure import groups_figure
from train.cli.root import train
from train.figures import draw_groups, draw_loss, draw_parity
from train.models import SeedGroup, seed_groups, stored_models
from train.predictors.baselines.constant import Constant
from train.predictors.mlp import MLP
from train.training import train_model

QUICK = MLP(widths=(16,), learning_rate=3e-3, max_epochs=5, patience=5)
N = 200


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """40 test materials, index 4, 9, 14, …; a constant, and a network with two seeds."""
    store = toy.make_store(tmp_path_factory.mktemp("stores") / "store", N)
    view = store.training_view(toy.PROPERTY, **toy.view_request("structure"))
    for recipe, seeds in ((QUICK, (0, 1)), (Constant("median"), (0,))):
        for seed in seeds:
            train_model(store, view, recipe, seed)
    return store


def _groups(store: FeatureStore, by: str, at_least: int = 1) -> list[ModelGroups]:
    with store.session() as session:
        return group_errors(session, seed_groups(stored_models(session)), by, at_least)


# Test materials by the last but one digit of their number: 20 even, 20 odd.
HALVES = "CAST(substr(material_id, 6, 1) AS INT) % 2"


def test_means_and_counts_are_those_of_the_predictions(store: FeatureStore) -> None:
    found = _groups(store, HALVES)
    assert [(model.label, len(model.models)) for model in found] == [
        ("median", 1),
        ("structure, mlp learning_rate=0.003 max_epochs=5 patience=5 widths=[16]", 2),
    ]
    for model in found:
        ids = [m.model_id for m in model.models]
        rows = store.sql(
            f"SELECT {HALVES} AS g, avg(abs(target - prediction)) AS mae, "
            "count(DISTINCT material_id) AS n FROM predictions "
            "WHERE fold = 'test' AND list_contains(?, model_id) GROUP BY ALL",
            [ids],
        ).to_pylist()
        by_hand = {str(row["g"]): (row["n"], row["mae"]) for row in rows}
        assert {g.group: (g.n, pytest.approx(g.error.value)) for g in model.groups} == by_hand
        assert sum(g.share for g in model.groups) == pytest.approx(1)
        assert all(g.error.low < g.error.value < g.error.high for g in model.groups)


def test_the_best_tenth_is_shared_out(store: FeatureStore) -> None:
    for model in _groups(store, "material_id"):
        best = [g for g in model.groups if g.best_share.value > 0]
        assert len(best) == round(BEST * 40)
        assert sum(g.best_share.value for g in best) == pytest.approx(1)
        worst_of_best = max(g.error.value for g in best)
        assert worst_of_best <= min(g.error.value for g in model.groups if g not in best)
    for model in _groups(store, HALVES):
        for group in model.groups:
            assert group.best_share.low <= group.best_share.value <= group.best_share.high


def test_groups_of_one_size_are_in_the_order_of_their_names(store: FeatureStore) -> None:
    for model in _groups(store, "material_id"):
        names = [group.group for group in model.groups]
        assert len(names) == 40 and names == sorted(names)


def test_small_groups_are_put_together(store: FeatureStore) -> None:
    # 5 test materials start with a number below 20, and so on: groups of 20, 10 and ten ones
    by = (
        "CASE WHEN material_id < 'toy-100' THEN 'low' WHEN material_id < 'toy-150' "
        "THEN 'middle' ELSE material_id END"
    )
    for model in _groups(store, by, at_least=5):
        assert [(g.group, g.n) for g in model.groups] == [
            ("low", 20),
            ("middle", 10),
            ("10 others", 10),
        ]


def test_null_is_a_group(store: FeatureStore) -> None:
    groups = _groups(store, f"nullif({HALVES}, 0)")[0].groups
    assert {g.group for g in groups} == {"NULL", "1"}


@pytest.mark.parametrize(
    ("by", "error"),
    [
        ("nosuch", QueryError),
        ("1) FROM materials; DROP TABLE materials; --", FeatureStoreError),
    ],
)
def test_bad_expressions_are_refused(store: FeatureStore, by: str, error: type) -> None:
    with pytest.raises(error):
        _groups(store, by)
    assert store.sql("SELECT count(*) AS n FROM materials")["n"][0].as_py() == N


def test_models_without_common_test_materials(tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 30)
    view = store.training_view(toy.PROPERTY, **toy.view_request("structure"))
    train_model(store, view, Constant("mean"), 0)
    store.remove("splits", "fold = 'test'")
    view = store.training_view(toy.PROPERTY, **toy.view_request("structure"))
    train_model(store, view, Constant("median"), 0)
    with pytest.raises(MissingDataError, match="no test material in common"):
        _groups(store, "formula")


def _run(store: FeatureStore, *arguments: str) -> Result:
    return CliRunner().invoke(train, [*arguments, "--store", store.uri])


def _ids(store: FeatureStore) -> list[str]:
    return list(
        store.sql("SELECT model_id FROM models ORDER BY created_at")["model_id"].to_pylist()
    )


def test_groups_from_the_command_line(store: FeatureStore, tmp_path: Path) -> None:
    figure = tmp_path / "groups.png"
    arguments = ["groups", "--property", toy.PROPERTY, "--by", HALVES, "-o", str(figure)]
    rows = json.loads(_run(store, *arguments, "--format", "json").stdout)
    assert len(rows) == 4
    assert {row["unit"] for row in rows} == {"eV"}
    assert figure_models(figure) == sorted(_ids(store))
    one = _run(store, "groups", "--model", _ids(store)[0], "--by", HALVES, "--format", "csv")
    assert len(list(csv.DictReader(io.StringIO(one.stdout)))) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["parity", "x"], 2, "Missing option '-o'"),
        (["leaderboard", "x", "-o", "a.csv"], 2, "ends in .csv.zip"),
    ],
)
def test_misuse(store: FeatureStore, arguments: list[str], code: int, message: str) -> None:
    result = _run(store, *arguments)
    assert result.exit_code == code
    assert message in result.output


def test_unknown_names_are_errors(store: FeatureStore) -> None:
    assert "no model of property 'slme'" in str(
        _run(store, "groups", "--property", "slme").exception
    )
    assert "unknown model" in str(_run(store, "leaderboard", "nosuch").exception)


def test_parity_of_chosen_models(store: FeatureStore, tmp_path: Path) -> None:
    import matplotlib.image

    first, second, constant = _ids(store)
    widths = []
    for chosen in ([first], [first, constant], [first, second]):
        path = tmp_path / f"{len(widths)}.png"
        assert _run(store, "parity", *chosen, "-o", str(path)).exit_code == 0
        widths.append(matplotlib.image.imread(path).shape[1])
    assert widths[1] > 1.5 * widths[0]
    assert widths[2] == pytest.approx(widths[0], rel=0.1), "two seeds are one panel"


def test_groups_of_few_have_open_marks_and_no_intervals(store: FeatureStore) -> None:
    large = groups_figure(_groups(store, HALVES), "halves").axes
    assert len(large) == 1, "the best tenth is four materials: no shares of it are drawn"
    (axes,) = large
    spans = [line for line in axes.lines if len(set(line.get_xdata())) == 2]
    assert len(spans) == 4, "two models of two groups"
    assert all(line.get_markerfacecolor() != "white" for line in axes.lines)
    (axes,) = groups_figure(_groups(store, "CAST(substr(material_id, 7, 1) AS INT)", 1), "x").axes
    assert axes.get_title(loc="left") == "TB-mBJ band gap"
    few = groups_figure(_groups(store, "substr(material_id, 5, 2)", 1), "x").axes[0]
    assert not [line for line in few.lines if len(set(line.get_xdata())) == 2]
    assert "fewer than 10 materials: no interval" in few.get_legend_handles_labels()[1]


def test_the_worst_of_a_parity_plot_are_named_and_the_fold_is_said(store: FeatureStore) -> None:
    figure = draw_parity(store, *_ids(store)[:2])
    (axes,) = figure.axes
    assert len(axes.texts) == 3
    assert "test MAE" in axes.get_title(loc="left") and "n = 40" in axes.get_title(loc="left")
    assert figure.get_supxlabel() == "target TB-mBJ band gap (eV), test fold"
    assert list(figure.models) == _ids(store)[:1]
    assert figure._repr_png_().startswith(b"\x89PNG")
    curve = draw_loss(store, _ids(store)[0])
    ticks = curve.axes[0].get_xticks()
    assert np.array_equal(ticks, np.round(ticks)), "epochs are counted"
    assert len(draw_groups(store, _ids(store)[0], by=HALVES).axes) == 1
    with pytest.raises(InvalidInputError, match="name a model"):
        draw_parity(store)


def test_the_leaderboards_file(store: FeatureStore, tmp_path: Path) -> None:
    model = _ids(store)[0]
    name = "AI-SinglePropertyPrediction-mbj_bandgap-dft_3d-test-mae.csv.zip"
    for folder in ("one", "two"):
        path = tmp_path / folder / name
        result = _run(store, "leaderboard", model, "-o", str(path), "--dataset", "dft_3d")
        assert result.exit_code == 0
        assert "Wrote 40 predictions" in result.stderr
        assert "expects" not in result.stderr
    assert (tmp_path / "one" / name).read_bytes() == path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [name.removesuffix(".zip")]
        rows = list(csv.DictReader(io.StringIO(archive.read(archive.namelist()[0]).decode())))
    stored = store.sql(
        "SELECT material_id, prediction FROM predictions WHERE model_id = ? AND fold = 'test' "
        "ORDER BY material_id",
        [model],
    )
    assert [row["id"] for row in rows] == stored["material_id"].to_pylist()
    np.testing.assert_array_equal(
        [float(row["prediction"]) for row in rows], stored["prediction"].to_numpy()
    )


def test_the_leaderboards_name_is_that_of_the_data(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _run(store, "leaderboard", _ids(store)[0]).exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == [
        "AI-SinglePropertyPrediction-mbj_bandgap-toy-test-mae.csv.zip"
    ]


def test_models_of_two_properties_are_not_compared(store: FeatureStore) -> None:
    from dataclasses import replace

    with store.session() as session:
        model = stored_models(session)[0]
        other = replace(model, parameters=replace(model.parameters, property="slme"))
        with pytest.raises(InvalidInputError, match="mbj_bandgap, slme cannot be compared"):
            group_errors(session, [SeedGroup((model,)), SeedGroup((other,))], "formula", 1)
