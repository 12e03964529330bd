"""Past forecasts are scored when their targets come, and only then."""

from __future__ import annotations

from pathlib import Path

import forecast_lab as lab
import pytest

import train
from featurestore.errors import InvalidInputError, MissingDataError, UnknownNameError
from featurestore.store import FeatureStore


def measured(store: FeatureStore, values: dict[str, float], source: str, unit: str = "eV") -> None:
    with store.run("ingest structures", {}) as run:
        rows = [
            {
                "material_id": name,
                "property": lab.PROPERTY,
                "source": source,
                "value": value,
                "unit": unit,
                "run_id": run.run_id,
            }
            for name, value in values.items()
        ]
        store.merge_rows("properties", rows)


def test_targets_that_came_later_score_the_forecasts(
    lab_store: FeatureStore, lab_model: str, tmp_path: Path
) -> None:
    with pytest.raises(MissingDataError, match="featurestore predict"):
        train.score(lab_store)
    files = lab.candidates(tmp_path / "new", {"one": 3.313, "two": 5.513, "three": 6.113})
    told = train.predict(lab_store, files, ids=["known-61"])
    by_name = {row.material_id: row for row in told.rows}
    (row,) = train.score(lab_store).to_pylist()
    assert (row["n"], row["waiting"], row["mae"]) == (0, 3, None)

    half = by_name["one"].upper - by_name["one"].prediction
    measured(lab_store, {"one": by_name["one"].prediction + half / 2}, "bench")
    measured(lab_store, {"two": by_name["two"].prediction - 3.0}, "bench")
    (row,) = train.score(lab_store, lab.PROPERTY).to_pylist()
    assert (row["n"], row["waiting"], row["with_interval"]) == (2, 1, 2)
    assert row["mae"] == pytest.approx((half / 2 + 3.0) / 2)
    assert row["bias"] == pytest.approx((3.0 - half / 2) / 2)
    assert row["covered"] == 0.5
    # what was predicted with its target known shows nothing: known-61 is not among them
    assert row["group_id"] == by_name["one"].group_id


@pytest.mark.slow
def test_a_target_that_turns_up_twice_is_named(
    lab_store: FeatureStore, lab_model: str, tmp_path: Path
) -> None:
    train.predict(lab_store, lab.candidates(tmp_path / "new", {"one": 3.313}))
    measured(lab_store, {"one": 1.0}, "bench")
    measured(lab_store, {"one": 2.0}, "theory")
    with pytest.raises(UnknownNameError, match=r"source of targets 'theorie'.*'theory'"):
        train.score(lab_store, lab.PROPERTY, property_source="theorie")
    with pytest.raises(InvalidInputError, match=r"'one' turns up 2 times, from 'bench', 'theory'"):
        train.score(lab_store)
    (row,) = train.score(lab_store, property_source="theory").to_pylist()
    assert row["n"] == 1
    measured(lab_store, {"one": 2.0}, "other", unit="J")
    with pytest.raises(InvalidInputError, match="in J"):
        train.score(lab_store, property_source="other")
