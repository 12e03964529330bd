"""The page of `explain report` on models of classes."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from class_lab import request
from html_page import check_alone
from sklearn.metrics import roc_auc_score

import explain
import train
from explain.explore.models import points
from explain.explore.sessions import Source
from explain.report.class_charts import curves
from featurestore.store import FeatureStore
from train.analysis.discrimination import area_estimate, roc_points, share_estimate
from train.tasks.class_metrics import brier_scores


def _page(store: FeatureStore, model: str, folder: Path, **asked: object) -> str:
    path = folder / "page.html"
    explain.write_report(store, model, path, **asked)
    return path.read_text("utf-8")


def _number(text: str) -> float:
    return float(text.replace("−", "-"))


def test_the_page_says_what_the_stored_predictions_say(
    store: FeatureStore, ids: dict[str, list[str]], tmp_path: Path
) -> None:
    explain.silence_segments(store, ids["size"][:2])
    source = _page(store, ids["size"][0], tmp_path)
    page = check_alone(source)
    rows = store.sql(
        "SELECT material_id, any_value(target) AS target, list(probabilities ORDER BY model_id) "
        "AS said, list(class_set ORDER BY model_id) AS sets, "
        "FROM predictions WHERE list_contains(?, model_id) AND fold = 'test' GROUP BY material_id",
        [ids["size"][:2]],
    ).to_pylist()
    names = ("large", "medium", "small")
    true = np.array([row["target"] for row in rows]).astype(int)
    said = np.array([row["said"] for row in rows])
    mean, called = said.mean(axis=1), said.mean(axis=1).argmax(axis=1)
    brier = np.mean([brier_scores(true, said[:, seed]) for seed in (0, 1)], axis=0)
    headline = source[source.index('class="headline">') + 17 :].split("<")[0]
    assert _number(headline) == pytest.approx(brier.mean(), rel=5e-3)
    assert "Brier score of size of" in page.text and "% less than a constant" in page.text
    by_class = page.rows("Errors by class")[1:]
    assert [row[0] for row in by_class] == list(names)
    for place, row in enumerate(by_class):
        of = true == place
        assert int(row[1]) == of.sum()
        assert _number(row[2]) == pytest.approx((called[of] == place).mean(), abs=6e-3)
        assert _number(row[3]) == pytest.approx((true[called == place] == place).mean(), abs=6e-3)
        assert _number(row[4]) == pytest.approx(roc_auc_score(of, mean[:, place]), abs=6e-3)
        holds = [
            names[place] in s for row_, o in zip(rows, of, strict=True) if o for s in row_["sets"]
        ]
        assert _number(row[6]) == pytest.approx(np.mean(holds), abs=6e-3)
    matrix = [[int(cell.split(" ")[0]) for cell in row[1:]] for row in page.rows('"Confusion"')[1:]]
    assert matrix == [[((true == a) & (called == b)).sum() for b in range(3)] for a in range(3)]
    sizes = [len(s) for row in rows for s in row["sets"]]
    shown = page.rows("Sets of classes")[1:]
    assert {int(row[0]): _number(row[2]) for row in shown} == pytest.approx(
        {size: np.mean(np.array(sizes) == size) for size in set(sizes)}, abs=6e-3
    )
    worst = page.rows("worst test materials")[1:]
    assert worst[0][0] == rows[int(brier.argmax())]["material_id"]
    assert worst[0][4] == names[true[brier.argmax()]]
    assert _number(worst[0][8]) == pytest.approx(brier.max(), abs=6e-4)
    assert [row[0] for row in page.rows("Errors by fold")[1:]] == ["train", "val", "test"]
    assert "Brier score and 95 % interval" in page.text, "by crystal system"
    assert "loss of the predicted class's probability" in page.text and "MAE" not in page.text
    neighbours = page.rows("Neighbours by structure")
    assert neighbours[0][3] == "class" and neighbours[1][3] in names
    assert "large, medium, small" in page.text, "the property's classes among the facts"


@pytest.mark.slow
def test_two_classes_a_constant_and_a_chosen_material(
    store: FeatureStore, ids: dict[str, list[str]], tmp_path: Path
) -> None:
    page = check_alone(_page(store, ids["positive"][0], tmp_path, materials=["toy-009"]))
    assert "ROC curve: true, area" in page.text and "1 materials at work" in page.text
    assert len(page.rows('"Confusion"')) == 3
    constant = check_alone(_page(store, ids["positive"][2], tmp_path))
    assert "No better than a constant" in constant.text
    assert "area 0.500" in constant.text


def test_without_a_test_fold_and_of_many_classes(store: FeatureStore, tmp_path: Path) -> None:
    store.remove("splits", "property = 'positive' AND fold = 'test'")
    model = train.fit(store, request("positive"), "frequencies").model.model_id
    page = check_alone(_page(store, model, tmp_path))
    assert "The test fold is empty" in page.text
    probabilities = np.random.default_rng(0).dirichlet(np.ones(9), 90)
    shown = curves(np.arange(90) % 9, probabilities, [f"c{i}" for i in range(9)])
    assert len(shown) == 6 and len({curve.look for curve in shown}) == 6


def test_delongs_interval_is_that_of_the_bootstrap() -> None:
    generator = np.random.default_rng(1)
    inside = generator.random(400) < 0.3
    scores = np.round(generator.normal(size=400) + 1.2 * inside, 1)  # with ties
    found = area_estimate(inside, scores)
    assert found is not None
    assert found.value == pytest.approx(roc_auc_score(inside, scores))
    drawn = []
    while len(drawn) < 400:
        rows = generator.integers(0, 400, 400)
        drawn.append(area_estimate(inside[rows], scores[rows]).value)
    assert found.low == pytest.approx(np.quantile(drawn, 0.025), abs=0.012)
    assert found.high == pytest.approx(np.quantile(drawn, 0.975), abs=0.012)


def test_areas_and_shares_at_their_ends() -> None:
    scores = np.array([0.1, 0.2, 0.9])
    assert area_estimate(np.zeros(3, bool), scores) is None
    perfect = area_estimate(np.array([False, False, True]), scores)
    assert perfect is not None and perfect.value == 1 and math.isnan(perfect.low)
    assert share_estimate(0, 10).low == 0 and share_estimate(0, 10).high == pytest.approx(
        0.278, abs=1e-3
    )
    assert math.isnan(share_estimate(0, 0).value)
    flags = np.arange(5000) % 2 == 0
    points = roc_points(flags, np.random.default_rng(0).random(5000))
    assert points[0] == (0, 0) and points[-1] == (1, 1) and len(points) <= 200


def test_the_class_of_several_seeds_is_that_of_their_mean_probabilities(
    store: FeatureStore, ids: dict[str, list[str]]
) -> None:
    first, second = ids["size"][:2]
    rows = store.sql("FROM predictions WHERE model_id = ? AND material_id = 'toy-009'", [second])
    (row,) = rows.to_pylist()
    # one seed says large and nearly small, the other small: not medium, the mean of the places
    for name, place, said in ((first, 0.0, [0.5, 0.05, 0.45]), (second, 2.0, [0.2, 0.1, 0.7])):
        changed = row | {"model_id": name, "prediction": place, "probabilities": said}
        store.merge_rows("predictions", [changed], replace=True)
    with store.session() as session:
        table = points(cast(Source, SimpleNamespace(session=session, store=store)), first)
    (found,) = [one for one in table.to_pylist() if one["material_id"] == "toy-009"]
    assert found["prediction"] == "small" and "seeds_std" not in found
