"""What moved a forecast: sentences, tags beside random ones, parts of the vector, neighbours."""

from __future__ import annotations

import json
from pathlib import Path

import forecast_lab as lab
import numpy as np
import pytest
from click.testing import CliRunner
from pyarrow import parquet

import explain
import explain.reasons.measure
import train
from featurestore.cli.root import root
from featurestore.errors import MissingDataError, UnknownNameError
from featurestore.history.forecasts import told_lineage
from featurestore.store import FeatureStore
from featurestore.texts.variants import parse_variant
from featurestore.upkeep.derivation import derive
from featurestore.views.request import ViewRequest
from ingest.library.splits import add_splits

SENTENCES = [
    f"The cell is {'very ' * 5}5.5130 large.",
    "It holds two atoms.",
    "Eight neighbours surround each.",
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return lab.candidates(tmp_path / "new", {"two": 5.513}) / "two.vasp"


def vector(sentences: list[str]) -> np.ndarray:
    """A candidate's features, by hand."""
    text, a = " ".join(sentences), 5.513
    kinds = [sum(map(ord, s)) / 100 for s in ("Cl", "Cs")]
    return np.array([a, a * a, *kinds, len(text), text.count("e")], np.float32)


def test_what_is_taken_away_is_what_the_prediction_loses(
    lab_store: FeatureStore, lab_model: str, file: Path
) -> None:
    with lab_store.session() as session:
        versions = dict(session.versions)
    (case,) = explain.why(lab_store, file, models=lab_model, keep=False).cases
    with lab_store.session() as session:
        assert dict(session.versions) == versions
    model = train.load(lab_store, lab_model)

    def told(features: np.ndarray) -> float:
        return float(model.predict(features[None])[0])

    full = told(vector(SENTENCES))
    assert case.forecast.prediction == full
    sentences, tags = case.texts
    left = [SENTENCES[:i] + SENTENCES[i + 1 :] for i in range(3)]
    assert [p.mean for p in sentences.parts] == [full - told(vector(one)) for one in left]
    assert {part.unit.text: part.mean for part in tags.parts} == {
        "summary": full - told(vector(SENTENCES[2:])),
        "sites": full - told(vector(SENTENCES[:2])),
    }
    # one random sentence is one of the three; two leave one of them
    ways = {"sites": left, "summary": [[one] for one in SENTENCES]}
    for part in tags.parts:
        possible = {full - told(vector(one)) for one in ways[part.unit.text]}
        assert len(part.controls) == 5 and set(part.controls) <= possible
        assert part.larger_than == sum(abs(c) < abs(part.mean) for c in part.controls)
        parse_variant(f"without:random:0:{part.unit.part}", ["summary", "sites"], [])
    mean = lab_store.training_view(lab.PROPERTY, **lab.CHOICES)
    mean = mean.features[np.array(mean.rows["fold"].to_pylist()) == "train"].mean(0, np.float64)
    columns = {"structure": (0, 4), "structure.size": (0, 2), "structure.kind": (2, 4)}
    columns["text"] = (4, 6)
    for one in case.segments:
        start, stop = columns.pop(one.name)
        without = vector(SENTENCES)
        without[start:stop] = mean[start:stop]
        assert one.mean == full - told(without)
    assert not columns
    assert [(k.material_id, k.target) for k in case.nearest] == list(case.forecast.nearest)
    assert {k.formula for k in case.nearest} == {"CsCl"}
    kept = explain.why(lab_store, file, models=lab_model).cases[0]
    assert kept.table == case.table and kept.nearest_table == case.nearest_table
    calls = lab.calls()
    again = explain.why(lab_store, ids="two", models=lab_model)
    assert again.table == case.table and lab.calls() == calls
    assert "Eight neighbours" in repr(again) and "<table" in again._repr_html_()
    assert again.find("two") is again.cases[0] and again.find("three") is None


@pytest.mark.slow
def test_the_command(lab_store: FeatureStore, lab_model: str, file: Path, tmp_path: Path) -> None:
    def run(*words: str):  # type: ignore[no-untyped-def]
        words = ("predict", *words, "--why", "--store", lab_store.uri)
        found = CliRunner().invoke(root, list(words))
        assert found.exit_code == 0, found.output
        return found

    shown = run(str(file)).stdout
    for words in ("Why mbj_bandgap of two", "lab-cubes: each sentence deleted", "draws)"):
        assert words in shown
    assert "structure.size" in shown and "nearest known materials" in shown
    (row,) = json.loads(run(str(file), "--format", "json").stdout)
    assert {part["kind"] for part in row["why"]["parts"]} == {"sentence", "tag", "segment"}
    assert row["why"]["nearest"][0]["material_id"] == row["nearest"][0]["material_id"]
    run("--id", "two", "-o", str(tmp_path / "two.parquet"))
    (written,) = parquet.read_table(tmp_path / "two.parquet").to_pylist()
    assert written["why"] == row["why"]


@pytest.mark.slow
def test_few_are_explained_and_the_others_named(
    lab_store: FeatureStore, lab_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explain.reasons.measure, "MOST_EXPLAINED", 1)
    found = explain.why(lab_store, ids=["known-61", "known-62"], models=lab_model)
    assert [case.forecast.material_id for case in found.cases] == ["known-61"]
    assert "--why --id known-62" in found.notes[0]
    assert [one is None for one in found.column().to_pylist()] == [False, True]
    broken = tmp_path / "broken.cif"
    broken.write_text("data_x\nloop_\n_atom")
    with pytest.raises(MissingDataError, match=r"could be predicted; broken: "):
        explain.why(lab_store, broken, models=lab_model)


def test_an_encoder_of_another_version_leaves_the_parts_of_the_features(
    lab_store: FeatureStore, lab_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lab_of_cubes  # type: ignore[import-not-found]

    spec = lab_of_cubes.EncoderSpec(
        "lab-letters", "text", 2, (lab_of_cubes.Segment("all", 0, 2),), {"version": 2}
    )
    monkeypatch.setattr(
        lab_of_cubes.Letters, "__init__", lambda self: self.__dict__.update(spec=spec)
    )
    (case,) = explain.why(lab_store, ids="known-61", models=lab_model).cases
    assert not case.texts and len(case.segments) == 4
    assert "version (1 there, 2 installed)" in case.notes[0]
    assert "structure.size" in repr(case)


def test_a_target_of_another_source_is_not_the_models(
    lab_store: FeatureStore, lab_model: str
) -> None:
    (row,) = lab_store.sql("FROM properties WHERE material_id = 'known-61'").to_pylist()
    lab_store.merge_rows("properties", [row | {"source": "aaa", "value": 7.0}])
    lab_store.merge_rows("properties", [row | {"source": "zzz", "value": 9.0}])
    (told,) = train.predict(lab_store, ids=["known-61"], models=lab_model).rows
    assert told.target == row["value"] and told.had_target
    lab_store.remove("properties", "material_id = 'known-61' AND source = 'lab'")
    (told,) = train.predict(lab_store, ids=["known-61"], models=lab_model).rows
    assert told.target is None and told.had_target


@pytest.mark.slow
def test_a_forecast_is_a_node_of_lineage(
    lab_store: FeatureStore, lab_model: str, file: Path
) -> None:
    (told,) = train.predict(lab_store, file, models=lab_model).rows
    with lab_store.session() as session:
        node = told_lineage(session, lab_model, "two")
        assert told_lineage(session, lab_model, "known-61").kind == "prediction"
        with pytest.raises(UnknownNameError, match="two"):
            told_lineage(session, lab_model, "tow")
    assert node.kind == "forecast" and node.facts["prediction"] == told.prediction
    assert node.facts["inputs_now"] == "of the same structure"
    assert [one.kind for one in node.inputs] == ["model", "structure vectors", "text vectors"]
    assert node.runs[0].command == "predict"
    structures = node.inputs[1].inputs[0]
    assert [one.name for one in structures.inputs] == ["two.vasp"]
    lab_store.remove("sentences", f"structure_id = '{told.structure_id}'")
    with lab_store.session() as session:
        node = told_lineage(session, lab_model, "two")
    assert node.facts["inputs_now"].startswith("gone: ") and len(node.inputs) == 1


@pytest.mark.slow
def test_of_classes_it_is_the_probability_of_the_predicted_one(
    lab_store: FeatureStore, file: Path
) -> None:
    derive(lab_store, "wide", f"{lab.PROPERTY} > 2")
    add_splits(lab_store, like=lab.PROPERTY, name=lab.SPLIT, property="wide")
    asked = ViewRequest("wide", **lab.CHOICES)
    chosen = {"estimator": "LogisticRegression", "standardise": True}
    name = train.fit(lab_store, asked, "sklearn", **chosen).model.model_id
    reasons = explain.why(lab_store, file, models=name, keep=False)
    (case,) = reasons.cases
    model = train.load(lab_store, name)
    place = int(case.forecast.prediction)

    def told(features: np.ndarray) -> float:
        return float(model.probabilities(features[None])[0, place])

    full = told(vector(SENTENCES))
    assert full == max(case.forecast.probabilities) and case.unit == "1"
    sentences, tags = case.texts
    left = [SENTENCES[:i] + SENTENCES[i + 1 :] for i in range(3)]
    assert [p.mean for p in sentences.parts] == pytest.approx(
        [full - told(vector(one)) for one in left], abs=1e-12
    )
    assert all(len(part.controls) == 5 for part in tags.parts)
    trained = lab_store.view(asked)
    mean = trained.features[trained.in_fold("train")].mean(0, np.float64)
    silenced = vector(SENTENCES)
    silenced[4:] = mean[4:]
    by_name = {one.name: one.mean for one in case.segments}
    assert by_name["text"] == pytest.approx(full - told(silenced), abs=1e-6)
    called, said = case.forecast.classes[place], reasons.text()
    assert f"is {called}, probability" in said and "what the probability of that class" in said
    assert f"{called}, probability" in repr(reasons) and "boolean" not in repr(reasons) + said
