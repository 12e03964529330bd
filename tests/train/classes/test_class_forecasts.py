"""Forecasts of classes, their scores later, screening by classes, and erasures."""

from __future__ import annotations

import numpy as np
import pytest
from class_lab import RULES, UNKNOWN, request

import explain
import train
from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.store import FeatureStore
from train.forecasts.predictor import Predictor
from train.screening.screen import screen
from train.screening.wants import Want, combined


@pytest.mark.slow
def test_a_material_without_a_class(store: FeatureStore, ids: dict[str, list[str]]) -> None:
    known = "toy-009"
    stored = store.sql(
        "SELECT probabilities FROM predictions WHERE material_id = ? "
        "AND list_contains(?, model_id) ORDER BY model_id",
        [known, ids["size"][:2]],
    )["probabilities"].to_pylist()
    with Predictor(store, models=[ids["size"][0]]) as predictor:
        found = predictor.predict(ids=[UNKNOWN, known])
    first, second = found.rows
    assert np.allclose(second.probabilities, np.mean(stored, axis=0), atol=1e-12)
    assert sum(first.probabilities) == pytest.approx(1)
    assert first.classes[int(first.prediction)] in (first.class_set or ())
    assert (first.std, first.lower, first.target) == (None, None, None)
    assert first.calibration == "sets that hold 90 %, by 24 validation rows"
    short = found.short.to_pylist()
    assert short[0]["value"] in RULES["size"] and short[0]["unit"] == ""
    assert float(short[0]["probability"]) == pytest.approx(max(first.probabilities), abs=0.01)
    assert " or ".join(first.class_set or ()) == short[0]["90 %"]
    assert any("2 seeds" in line for line in found.remarks())
    (row, *_) = found.table.to_pylist()
    assert row["class"] == short[0]["value"] and len(row["probabilities"]) == 3


@pytest.mark.slow
def test_the_class_comes_later(store: FeatureStore, ids: dict[str, list[str]]) -> None:
    parameters = train.load(store, ids["size"][0]).parameters
    found = train.predict(store, ids=[UNKNOWN], models=ids["size"][0])
    waiting = train.score(store).to_pylist()
    assert [(row["n"], row["waiting"]) for row in waiting] == [(0, 1)]
    target = 2.0
    row = {
        "material_id": UNKNOWN,
        "property": "size",
        "source": parameters.property_source,
        "value": target,
        "unit": parameters.unit,
        "run_id": "later",
    }
    store.merge_rows("properties", [row])
    (scored,) = train.score(store).to_pylist()
    p = np.array(found.rows[0].probabilities)
    assert (scored["n"], scored["waiting"]) == (1, 0)
    assert scored["accuracy"] == float(p.argmax() == target)
    assert scored["brier"] == pytest.approx(((p - np.eye(3)[2]) ** 2).sum())
    assert scored["covered"] == float("small" in (found.rows[0].class_set or ()))


def test_wants_of_classes() -> None:
    assert Want.parsed("metal = true").classes == ("true",)
    assert Want.parsed("phase = '225'").classes == ("225",)
    assert Want.parsed("phase in (a, 'b c')").classes == ("a", "b c")
    assert str(Want.parsed("phase in (a, b)")) == "phase in (a, b)"
    with pytest.raises(InvalidInputError, match=r"of no width.*\"phase = '225'\""):
        Want.parsed("phase = 225")
    with pytest.raises(InvalidInputError, match="no class of phase fulfils both"):
        combined(["phase = a", "phase = b"])
    with pytest.raises(InvalidInputError, match="are of classes and of numbers"):
        combined(["phase = a", "phase > 1"])
    assert combined(["phase in (a, b)", "phase in (b, c)"])[0].classes == ("b",)


@pytest.mark.slow
def test_screening_by_classes(store: FeatureStore, ids: dict[str, list[str]]) -> None:
    models = [ids["size"][0], ids["positive"][0]]
    chosen = [UNKNOWN, "toy-009", "toy-014", "toy-019"]
    found = screen(store, ["size in (large, medium)", "positive = true"], ids=chosen, models=models)
    table = {row["material_id"]: row for row in found.table.to_pylist()}
    assert table["toy-009"]["size_known"] and not table[UNKNOWN]["size_known"]
    told = train.predict(store, ids=[UNKNOWN], models=models)
    size, positive = (row.probabilities for row in told.rows)
    row = table[UNKNOWN]
    assert row["size_probability"] == pytest.approx(size[0] + size[1])
    assert row["positive_probability"] == pytest.approx(positive[1])
    assert row["joint"] == pytest.approx(row["size_probability"] * row["positive_probability"])
    assert row["size_value"] in ("large", "medium", "small")
    known = store.sql(
        "SELECT class FROM class_values WHERE material_id = 'toy-009' AND property = 'size'"
    )["class"][0].as_py()
    assert table["toy-009"]["size_probability"] == float(known != "small")
    assert "P(positive = true)" in found.short.column_names


@pytest.mark.parametrize(
    ("want", "error", "message"),
    [
        ("size = huge", UnknownNameError, "class of size 'huge'"),
        ("size > 1", InvalidInputError, "has the classes .* no numbers; write 'size = small'"),
        ("maximise size", InvalidInputError, "no numbers"),
        ("size in (large, medium, small)", InvalidInputError, "wants every class there is"),
    ],
)
def test_wants_that_do_not_suit(
    store: FeatureStore,
    ids: dict[str, list[str]],
    want: str,
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        screen(store, [want], ids=[UNKNOWN], models=[ids["size"][0]])


def test_erasures_are_drops_of_the_predicted_classs_probability(
    store: FeatureStore, ids: dict[str, list[str]]
) -> None:
    model = train.load(store, ids["size"][0])
    explain.silence_segments(store, ids["size"][0])
    rows = store.sql(
        "SELECT e.material_id, e.target, e.prediction, e.erased_prediction, p.prediction AS place, "
        "p.probabilities FROM erasures e JOIN predictions p USING (model_id, material_id) "
        "WHERE e.model_id = ? AND e.variant = 'mean:structure' ORDER BY e.material_id",
        [model.model_id],
    ).to_pylist()
    view = store.view(request("size", "structure+text"))
    at = [view.material_ids.index(row["material_id"]) for row in rows]
    silenced = view.features.copy()
    silenced[:, :4] = view.features[view.in_fold("train"), :4].mean(axis=0, dtype=np.float64)
    places = [int(row["place"]) for row in rows]
    told = model.probabilities(silenced[at])[np.arange(len(at)), places]
    assert [row["target"] for row in rows] == [1.0] * len(rows)
    assert [row["prediction"] for row in rows] == pytest.approx(
        [max(row["probabilities"]) for row in rows]
    )
    assert [row["erased_prediction"] for row in rows] == pytest.approx(told, abs=1e-6)
    explain.erase_tags(store, ids["size"][0])
    (drop,) = store.sql(
        "SELECT avg(prediction - erased_prediction) AS value FROM erasures "
        "WHERE model_id = ? AND variant = 'without:bond length'",
        [model.model_id],
    ).to_pylist()
    (effect,) = store.sql(
        "SELECT value, unit FROM effects WHERE measure = 'comprehensiveness' "
        "AND part = 'bond length' AND subset = 'all'"
    ).to_pylist()
    assert effect["unit"] == "1"
    assert effect["value"] == pytest.approx(drop["value"])
