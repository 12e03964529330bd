"""Materials from their files, or from the store, to values: once, bounded, named when they fail."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import forecast_lab as lab
import numpy as np
import pytest
from click.testing import CliRunner
from here import cluster_here
from pyarrow import parquet
from tiers import few

import train
from featurestore.cli.root import root
from featurestore.errors import InvalidInputError, MissingDataError, UnknownNameError
from featurestore.preparation import MissingVersionError
from featurestore.store import FeatureStore
from featurestore.summary import summarise
from featurestore.views.request import ViewRequest
from ingest.stages import embeddings
from train.forecasts.predictor import Predictor


def state(store: FeatureStore) -> dict[str, int]:
    with store.session() as session:
        return dict(session.versions)


@pytest.mark.parametrize("predictor", few(["sklearn", "ensemble", "gbt", "mlp", "mean"], 1))
def test_a_stored_test_material_is_predicted_as_it_is_stored_to_the_bit(
    lab_store: FeatureStore, predictor: str
) -> None:
    few: dict[str, dict[str, object]] = {
        "ensemble": {"epochs": 2, "members": 4},
        "gbt": {"max_epochs": 20},
        "mlp": {"max_epochs": 3, "widths": (16, 8)},
    }
    model_id = lab.train_lab(lab_store, predictor, **few.get(predictor, {}))
    stored = {
        row["material_id"]: row
        for row in lab_store.sql(
            "FROM predictions WHERE model_id = ? AND fold = 'test'", [model_id]
        ).to_pylist()
    }
    ids = ["known-61", "known-64", "known-79"]
    with Predictor(lab_store, models=[model_id]) as loaded:
        for chosen in (ids, ids[:1]):
            told = loaded.predict(ids=chosen)
            assert [row.material_id for row in told.rows] == chosen
            for row in told.rows:
                assert row.prediction == stored[row.material_id]["prediction"]
                assert row.of_seeds == (row.prediction,)
                assert row.target == stored[row.material_id]["target"]


def test_a_stored_number_of_what_has_changed_since_is_not_told(
    lab_store: FeatureStore, lab_model: str
) -> None:
    row = lab_store.sql(
        "FROM predictions WHERE model_id = ? AND material_id = 'known-61'", [lab_model]
    ).to_pylist()[0]
    computed = row["prediction"]
    lab_store.merge_rows("predictions", [row | {"prediction": computed + 1.0}], replace=True)
    (told,) = train.predict(lab_store, ids=["known-61"], models=lab_model).rows
    assert told.prediction == pytest.approx(computed)


@pytest.mark.slow
def test_on_a_cluster_its_workers_describe_and_encode(
    lab_store: FeatureStore, lab_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = []

    def start(*given: Any) -> None:
        named.append(given)
        start_worker(*given)

    start_worker = embeddings._start_worker
    monkeypatch.setattr(embeddings, "_start_worker", start)
    files = lab.candidates(tmp_path / "new", {"here": 3.313})
    (alone,) = train.predict(lab_store, files, properties=lab.PROPERTY).rows
    assert not named
    files = lab.candidates(tmp_path / "newer", {"there": 3.314})
    with cluster_here():
        (told,) = train.predict(lab_store, files, properties=lab.PROPERTY).rows
    assert [one.name for one, _ in named] == ["lab-edges", "lab-letters"]
    assert told.prediction == pytest.approx(alone.prediction, abs=0.1)


def test_from_file_to_number_once(lab_store: FeatureStore, lab_model: str, tmp_path: Path) -> None:
    files = lab.candidates(tmp_path / "new", {"one": 3.313, "two": 5.513})
    before = lab.calls()
    told = train.predict(lab_store, files, properties=lab.PROPERTY)
    assert [row.material_id for row in told.rows] == ["one", "two"]
    assert told.written == 2 and not told.failures
    for row, a in zip(told.rows, (3.313, 5.513), strict=True):
        assert row.prediction == pytest.approx(np.sin(a) + 2.0, abs=0.25)
        assert row.lower is not None and row.upper is not None and row.std is not None
        assert row.lower < row.prediction < row.upper
        assert row.target is None
    made = lab.calls()
    assert {name: made[name] - before[name] for name in made} == {
        "edges": 2,
        "letters": 2,
        "cubes": 2,
    }
    again = train.predict(lab_store, files, properties=lab.PROPERTY)
    assert again.written == 0 and lab.calls() == made
    assert again.rows == told.rows
    row = lab_store.sql("FROM forecasts WHERE material_id = 'one'").to_pylist()[0]
    assert row["model_ids"] == [lab_model]
    fingerprint = lab_store.sql("SELECT view_fingerprint AS f FROM models")["f"][0].as_py()
    assert row["view_fingerprint"] == fingerprint
    assert [one.split("_")[0] for one in row["inputs"]] == ["lab", "lab"]
    assert (row["prediction"], row["lower"]) == (told.rows[0].prediction, told.rows[0].lower)
    assert not row["had_target"]


@pytest.mark.slow
def test_older_forecasts_stand_beside_newer_ones(
    lab_store: FeatureStore, lab_model: str, tmp_path: Path
) -> None:
    files = lab.candidates(tmp_path / "new", {"one": 3.313})
    train.predict(lab_store, files, models=lab_model)
    other = lab.train_lab(lab_store, n_estimators=5)
    train.predict(lab_store, files, models=other)
    with lab_store.session() as session:
        said = dict(summarise(session))["Forecasts"]
    assert said == [f"{lab.PROPERTY}: 2 of 1 materials, by 2 models"]
    rows = lab_store.sql("FROM forecasts").to_pylist()
    assert sorted(row["model_ids"][0] for row in rows) == sorted([lab_model, other])


@pytest.mark.slow
def test_nothing_is_left_behind_on_request(
    lab_store: FeatureStore, lab_model: str, tmp_path: Path
) -> None:
    files = lab.candidates(tmp_path / "new", {"one": 3.313, "two": 5.513})
    before = state(lab_store)
    told = train.predict(lab_store, files, ids=["known-61"], models=lab_model, keep=False)
    assert state(lab_store) == before
    assert told.written == 0
    kept = train.predict(lab_store, files, ids=["known-61"], models=lab_model)
    assert kept.rows == told.rows


def test_every_seed_predicts(lab_store: FeatureStore, lab_model: str) -> None:
    other = lab.train_lab(lab_store, seed=1)
    (row,) = train.predict(lab_store, ids=["known-61"], properties=lab.PROPERTY).rows
    stored = lab_store.sql(
        "SELECT prediction FROM predictions WHERE material_id = 'known-61' ORDER BY model_id <> ?",
        [lab_model],
    )["prediction"].to_pylist()
    assert set(row.model_ids) == {lab_model, other}
    assert row.of_seeds == tuple(stored)
    assert row.prediction == np.mean(stored)


def test_one_bad_file_among_many_is_counted_and_the_rest_predicted(
    lab_store: FeatureStore, lab_model: str, tmp_path: Path
) -> None:
    files = lab.candidates(tmp_path / "new", {f"n{i}": 3.2 + i / 7 for i in range(8)})
    (files / "broken.cif").write_text("data_x\n_cell_length_a 3\nloop_\n_atom")
    (files / "notes.txt").write_text("nothing of the kind")
    (files / "xenon.vasp").write_text(lab.poscar(4.4, ("Xe", "Cl")))
    (files / "krypton.vasp").write_text(lab.poscar(4.4, ("Kr", "Cl")))
    told = train.predict(lab_store, files, models=lab_model)
    assert len(told.rows) == 8
    assert set(told.failures) == {"broken", "xenon", "krypton"}
    assert "does not know the element Xe" in told.failures["xenon"].message
    assert "no words for krypton" in told.failures["krypton"].message
    assert list(told.passed_over) == ["notes.txt"]
    # and the second time the reasons are those on record
    again = train.predict(lab_store, files, models=lab_model)
    assert again.failures == told.failures


@pytest.mark.slow
def test_a_version_that_is_not_installed_is_named_with_what_to_do(
    lab_store: FeatureStore, lab_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lab_of_cubes  # type: ignore[import-not-found]

    files = lab.candidates(tmp_path / "new", {"one": 3.313})
    monkeypatch.setitem(lab_of_cubes.VERSION, "n", 2)
    with pytest.raises(
        MissingVersionError, match=r"lab-edges.*version \(1 there, 2 installed\).*Inst"
    ) as error:
        train.predict(lab_store, files, models=lab_model)
    assert "featurestore ingest embeddings --encoder lab-edges" in str(error.value)
    # what has its vectors needs no encoder, another one's texts are another matter
    assert train.predict(lab_store, ids=["known-61"], models=lab_model).rows
    monkeypatch.setitem(lab_of_cubes.VERSION, "n", 1)
    monkeypatch.setattr(
        lab_of_cubes.Cubes,
        "spec",
        lab_of_cubes.GeneratorSpec("lab-cubes", {"version": 7}),
    )
    with pytest.raises(MissingVersionError, match=r"version \(1 there, 7 installed\)"):
        train.predict(lab_store, lab.candidates(tmp_path / "b", {"two": 3.6123}), models=lab_model)


@pytest.mark.slow
def test_what_cannot_be_meant_is_refused(
    lab_store: FeatureStore, lab_model: str, tmp_path: Path
) -> None:
    with pytest.raises(MissingDataError, match=r"no model of property 'slme'.*train ensemble"):
        Predictor(lab_store, ["slme"])
    with pytest.raises(UnknownNameError, match="models import"):
        Predictor(lab_store, models=["of_another_store"])
    with pytest.raises(UnknownNameError, match="did you mean"):
        train.predict(lab_store, ids=["known-6l"])
    with pytest.raises(InvalidInputError, match="name structure files"):
        train.predict(lab_store)
    with pytest.raises(InvalidInputError, match="fulfils"):
        train.predict(lab_store, where="n_atoms > 900")
    lab.train_lab(lab_store, n_estimators=5)
    with pytest.raises(InvalidInputError, match=r"2 models and none is chosen.*models promote"):
        train.predict(lab_store, ids=["known-61"])
    told = train.predict(lab_store, ids=["known-61"], models=lab_model[:40])
    assert told.rows[0].model_ids == (lab_model,)


def test_an_id_that_is_taken_by_another_structure_is_a_failure(
    lab_store: FeatureStore, lab_model: str, tmp_path: Path
) -> None:
    files = lab.candidates(tmp_path / "new", {"known-61": 3.999, "one": 4.111})
    told = train.predict(lab_store, files, models=lab_model)
    assert [row.material_id for row in told.rows] == ["one"]
    assert "another structure" in told.failures["known-61"].message


def test_the_command(lab_store: FeatureStore, lab_model: str, tmp_path: Path) -> None:
    files = lab.candidates(tmp_path / "new", {"one": 3.313})
    (files / "broken.cif").write_text("data_x\nloop_\n_atom")

    def run(*words: str):  # type: ignore[no-untyped-def]
        return CliRunner().invoke(root, ["predict", *words, "--store", lab_store.uri])

    shown = run(str(files))
    assert shown.exit_code == 0, shown.output
    assert "one" in shown.stdout and "eV" in shown.stdout
    assert "Failed: 1 ×" in shown.stderr and "broken" in shown.stderr
    assert "1 seed" in shown.stderr and "90 % by 20 validation rows" in shown.stderr
    output = tmp_path / "out.parquet"
    assert run(str(files), "-o", str(output)).exit_code == 0
    written = parquet.read_table(output).to_pylist()
    assert written[0]["material_id"] == "one" and math.isfinite(written[0]["prediction"])
    csv = run("--where", "material_id = 'known-61'", "--format", "csv")
    assert csv.stdout.startswith("material_id,") and "known-61" in csv.stdout
    nothing = run(str(files / "broken.cif"))
    assert nothing.exit_code == 1
    assert run().exit_code == 2
    helped = CliRunner().invoke(root, ["predict", "--help"]).output
    assert "predict score" in helped and "--no-store" in helped


def test_a_graph_network_predicts_the_structures_themselves(
    lab_store: FeatureStore, tmp_path: Path
) -> None:
    tiny = {"alignn_layers": 1, "gcn_layers": 1, "hidden_features": 8, "epochs": 1}
    request = ViewRequest(lab.PROPERTY, split=lab.SPLIT)
    model_id = train.fit(lab_store, request, "alignn", **tiny).model.model_id
    files = lab.candidates(tmp_path / "new", {"one": 3.513})
    (files / "oganesson.vasp").write_text(lab.poscar(5.1, ("Og", "Cl")))
    told = train.predict(lab_store, files, ids=["known-61"], models=model_id)
    stored = lab_store.sql(
        "SELECT prediction FROM predictions WHERE model_id = ? AND material_id = 'known-61'",
        [model_id],
    )["prediction"][0].as_py()
    by_name = {row.material_id: row for row in told.rows}
    assert by_name["known-61"].prediction == stored
    assert by_name["one"].percentile is None and by_name["one"].std is not None
    assert "oganesson" in told.failures and "Og" in told.failures["oganesson"].message


@pytest.mark.slow
def test_seeds_that_change_nothing_are_called_deterministic(
    lab_store: FeatureStore, lab_model: str
) -> None:
    for seed in (0, 1):
        mean = lab.train_lab(lab_store, "mean", seed=seed)
    said = train.predict(lab_store, ids=["known-61"], models=mean).remarks()
    assert any("2 seeds, deterministic" in line for line in said)
    lab.train_lab(lab_store, seed=1)
    said = train.predict(lab_store, ids=["known-61"], models=lab_model).remarks()
    assert any("2 seeds that differ by" in line for line in said)


@pytest.mark.slow
def test_too_few_validation_rows_are_said_with_what_helps(
    tmp_path: Path, lab_original: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(lab_original[0] / "site")
    store = lab.make_lab_store(tmp_path, n_val=5)
    lab.train_lab(store, "ensemble", epochs=2, members=4)
    told = train.predict(store, ids=["known-61"])
    (row,) = told.rows
    assert row.lower is None and row.std is not None and row.std > 0
    assert row.calibration == "uncalibrated: 5 validation rows, 9 needed"
    assert any("larger validation fold" in line for line in told.remarks())
    assert told.short["90 %"].to_pylist() == ["none"]


@pytest.mark.slow
def test_numbers_among_the_features_are_made_or_named_as_lacking(
    lab_store: FeatureStore, lab_model: str, tmp_path: Path
) -> None:
    with lab_store.run("ingest structures", {}) as run:
        rows = [
            {
                "material_id": f"known-{index:02}",
                "property": "ehull",
                "source": "lab",
                "value": index / 100,
                "unit": "eV/atom",
                "run_id": run.run_id,
            }
            for index in range(lab.N)
        ]
        lab_store.merge_rows("properties", rows)
    files = lab.candidates(tmp_path / "new", {"one": 3.513})
    for inputs, failed in (
        (("lab-edges.size", "sql:volume / n_atoms"), []),
        (("lab-edges", "property:ehull"), ["one"]),
    ):
        request = ViewRequest(lab.PROPERTY, inputs=inputs, split=lab.SPLIT)
        model_id = train.fit(lab_store, request, "gbt", max_epochs=20).model.model_id
        for keep in (False, True):
            told = train.predict(lab_store, files, ids=["known-61"], models=model_id, keep=keep)
            assert list(told.failures) == failed
            assert len(told.rows) == 2 - len(failed)
            assert set(told.rows[0].of_features) == set(told.rows[-1].of_features)
            assert len(told.rows[0].of_features) == 2
        if failed:
            assert "value of property:ehull@lab" in told.failures["one"].message
