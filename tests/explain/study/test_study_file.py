"""Study files: what they may say, what they extend, and errors that name table and key."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from explain.study.file import read_study, shipped_studies
from explain.study.page import _group_row, _of_what, _tag_row, _training_row
from explain.study.published import change, kind_of_features, read_removals
from explain.study.references import in_order
from explain.study.schema import TABLES, StudyError
from explain.study.steps import study_fingerprint, study_steps
from featurestore.errors import FeatureStoreError, UnknownNameError
from train.benchmark.published import read_published

BASE = """
[sources.sample]
sample = true
[splits.random]
random = "80/10/10"
properties = ["slme"]
[texts.chemnlp]
[encoders.graph]
weights = "alignn-ff"
[encoders.language]
weights = "minilm"
texts = ["chemnlp"]
[features.structure]
structure = "graph"
[features.both]
structure = "graph"
text = "chemnlp"
encoder = "language"
[predictors.gbt]
[training.t]
properties = ["slme"]
split = "random"
features = ["structure", "both"]
predictors = ["gbt"]
[explanations.e]
method = "tags"
training = "t"
"""


def written(folder: Path, content: str, name: str = "study.toml") -> Path:
    path = folder / name
    path.write_text(content, "utf-8")
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("[texts.chemnlp]", "[text.chemnlp]"), "table or key of {file} 'text'; did you mean"),
        (("sample = true", "smple = true"), "key of {file}: [sources.sample] 'smple'; did you"),
        (("sample = true", ""), "[sources.sample] takes one of sample, jarvis, files; it has none"),
        (("sample = true", "sample = true\njarvis = 'x'"), "it has sample and jarvis"),
        (("sample = true", "sample = 1"), "[sources.sample] sample takes true or false, not 1"),
        (("[texts.chemnlp]", "[texts]\nchemnlp = 1"), "[texts] has tables by names of your own"),
        (('split = "random"\n', ""), "[training.t] needs split"),
        (
            ("[predictors.gbt]", "[predictors.gbt]\npredictor = 'gbtt'"),
            "[predictors.gbt]: unknown predictor 'gbtt'",
        ),
        (
            ("[predictors.gbt]", "[predictors.gbt]\nsettings = { max_epoch = 5 }"),
            "[predictors.gbt]: unknown setting of 'gbt': 'max_epoch'; did you mean 'max_epochs'?",
        ),
        (("[texts.chemnlp]", "[texts.chemnlp]\nsource = 'robocris'"), "unknown text source"),
        (('structure = "graph"\ntext', 'structure = "grph"\ntext'), "[features.both] structure"),
        (('texts = ["chemnlp"]', 'texts = ["robo"]'), "[encoders.language] texts 'robo'"),
        (('training = "t"', 'training = "u"'), "[explanations.e] training 'u'"),
        (('method = "tags"', 'method = "tag"'), "method takes one of tags, segments, words"),
        (('encoder = "language"', ""), "[features.both] needs text and encoder together"),
        (
            (
                '[features.structure]\nstructure = "graph"',
                '[features.structure]\njoin = ["both"]'
                '\n[features.j]\njoin = ["k"]\n[features.k]\njoin = ["j"]',
            ),
            "entries need each other in a circle: [features.j] -> [features.k] -> [features.j]",
        ),
        (("[features.structure]", '[features.structure]\ninputs = ["a"]'), "or inputs; or join"),
        (('structure = "graph"', 'structure = "language"'), "encodes texts"),
        (('training = "t"', 'training = "t"\nproperties = ["ehull"]'), "'ehull' is none of"),
    ],
)
def test_what_cannot_be_is_named_with_table_and_key(tmp_path: Path, change, said):
    assert change[0] in BASE
    path = written(tmp_path, BASE.replace(change[0], change[1], 1))
    with pytest.raises(FeatureStoreError) as raised:
        read_study(path)
    assert said.format(file=path) in str(raised.value)


def test_an_unknown_study_suggests_those_that_ship():
    with pytest.raises(UnknownNameError, match="did you mean 'hybrid-llm-gnn'"):
        read_study("hybrid-llm-gn")


def test_every_study_that_ships_can_be_read_and_fingerprinted():
    for name in shipped_studies():
        study = read_study(name)
        steps = study_steps(study)
        assert steps[-1].name == "report" and study_fingerprint(steps)


def test_extending_replaces_keys_and_keeps_the_rest(tmp_path: Path):
    written(tmp_path, BASE, "base.toml")
    (tmp_path / "x.zip").write_bytes(b"x")
    path = written(
        tmp_path,
        'extends = "base.toml"\nstore = "s"\n[sources.sample]\nfiles = ["x.zip"]\n'
        "[training.t]\nseeds = 3\n",
    )
    study = read_study(path)
    assert study.entries("sources") == {"sample": {"files": [str(tmp_path / "x.zip")]}}
    assert study.entries("training")["t"]["seeds"] == 3
    assert study.entries("training")["t"]["split"] == "random"
    assert study.store == str(tmp_path / "s")


def test_studies_that_extend_each_other_are_a_circle(tmp_path: Path):
    written(tmp_path, 'extends = "b.toml"', "a.toml")
    written(tmp_path, 'extends = "a.toml"', "b.toml")
    with pytest.raises(StudyError, match=r"circle: .*a\.toml -> .*b\.toml -> .*a\.toml"):
        read_study(tmp_path / "a.toml")


def test_the_order_puts_everything_after_what_it_needs(tmp_path: Path):
    study = read_study(written(tmp_path, BASE))
    ordered = in_order(study.tables, "x")
    for before, after in (
        (("sources", "sample"), ("texts", "chemnlp")),
        (("texts", "chemnlp"), ("encoders", "language")),
        (("features", "both"), ("training", "t")),
        (("splits", "random"), ("training", "t")),
        (("training", "t"), ("explanations", "e")),
    ):
        assert ordered.index(before) < ordered.index(after)


def test_the_fingerprint_is_of_entries_and_of_the_bytes_of_their_files(tmp_path: Path):
    archive = tmp_path / "x.zip"
    archive.write_bytes(b"one")
    path = written(tmp_path, BASE.replace("sample = true", 'files = ["x.zip"]'))
    first = study_fingerprint(study_steps(read_study(path)))
    assert first == study_fingerprint(study_steps(read_study(path)))
    archive.write_bytes(b"two")
    second = study_fingerprint(study_steps(read_study(path)))
    written(tmp_path, path.read_text() + "jobs = 2\n".replace("jobs", "controls"))
    assert len({first, second, study_fingerprint(study_steps(read_study(path)))}) == 3
    archive.unlink()
    with pytest.raises(StudyError, match=r"\[sources\.sample\] files: there is no"):
        study_steps(read_study(path))


def test_published_numbers_are_of_our_kinds_of_features():
    study = read_study("hybrid-llm-gnn")
    tables, report = study.tables, study.tables["report"]
    kinds = {name: kind_of_features(tables, name) for name in tables["features"]}
    assert kinds["structure"] == ("structure", "")
    assert kinds["both-chemnlp"] == ("structure+text", "chemnlp")
    errors = read_published(Path(report["published"]))
    assert {(one.features, one.text_source) for one in errors} == set(kinds.values())
    removals = read_removals(Path(report["published-removals"]))
    found = change(removals, "mbj_bandgap", "robocrystallographer", "structure coordination")
    assert found == pytest.approx(0.3233 / 0.2516 - 1)
    assert change(removals, "mbj_bandgap", "chemnlp", "no such tag") is None
    asked = set(study.entries("training")["table-2"]["properties"])
    assert {one.property for one in errors} == {one.property for one in removals} == asked


def test_the_documented_study_is_the_one_that_ships():
    document = (Path(__file__).parents[3] / "docs" / "study.md").read_text("utf-8")
    shown = tomllib.loads(document.split("```toml\n")[1].split("```")[0])
    shipped = tomllib.loads(shipped_studies()["sample"].read_text("utf-8"))
    assert shown == {key: value for key, value in shipped.items() if key != "description"}


def test_every_key_is_documented():
    document = (Path(__file__).parents[3] / "docs" / "study.md").read_text("utf-8")
    for name, table in TABLES.items():
        assert f"[{name}" in document
        for key in table.keys:
            assert f"`{key}`" in document or f"`{key} =" in document, (name, key)


def test_a_figure_says_what_it_is_of_and_not_what_its_file_is_called():
    title = "superconducting transition temperature"
    assert _of_what("explanation-fig-6", "explanation_fig-6_Tc_supercon.png") == title
    assert _of_what("explanation-fig-6", "explanation_fig-6_my_own.png") == "my own"
    words = "explanation_fig-3_slme_slme_structure_6e5dcf5a91_JVASP-10231.png"
    assert _of_what("explanation-fig-3", words) == "JVASP-10231"
    assert _of_what("training-table-1", "training_table-1.png") == ""


def test_groups_name_features_and_predictor_apart():
    row = {"property": "slme", "model": "structure@1, mlp depth=2, width=3", "mae": 1.0}
    assert _group_row(row | {"mae_low": 0.5}) == {
        "property": "slme",
        "features": "structure@1",
        "predictor": "mlp depth=2, width=3",
        "MAE": 1.0,
        "95 % from": 0.5,
    }


def test_rows_of_the_page_have_our_number_beside_the_published_one():
    study = read_study("hybrid-llm-gnn")
    report = study.tables["report"]
    row = {"property": "slme", "unit": "%", "features": "both-chemnlp", "predictor": "mlp"}
    row |= {"n_train": 5, "n_test": 1, "seeds": 1, "test_mae": 4.5}
    errors = read_published(Path(report["published"]))
    told = _training_row(row, study.tables, errors)
    assert (told["MAE"], told["published"]) == (
        4.5,
        "ALIGNN-BERT-TL 4.8874; ALIGNN-MatBERT-TL 4.6579",
    )
    assert told["published train / test"] == "7,810 / 977"
    assert _training_row(row | {"features": "none"}, study.tables, errors)["published"] is None
    removals = read_removals(Path(report["published-removals"]))
    tag = {"property": "slme", "text_source": "chemnlp", "tag": "bond length", "mae_full": 4.0}
    found = _tag_row(tag | {"difference": 0.2}, removals)
    assert found["change %"] == pytest.approx(5.0)
    assert found["published change %"] == pytest.approx(100 * (4.675 / 4.6827 - 1))
    # no text of the fold has the tag
    assert _tag_row(tag | {"difference": None}, removals)["change %"] is None
