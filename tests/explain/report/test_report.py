from __future__ import annotations

import html
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import synthetic_store as toy
from click.testing import CliRunner
from html_page import Page, check_alone
from linear_predictor import Linear, register

from explain.cli.root import explain
from explain.report.materials import _nearest
from explain.report.page import write_report
from explain.segments.analysis import segment_effects
from explain.tags.analysis import TagAnalysis, tag_effects
from featurestore.errors import MissingDataError, UnknownNameError
from featurestore.identity import text_id
from featurestore.store import FeatureStore
from featurestore.tables.schemas import embedding_table
from train.models import StoredModel
from train.training import train_model

ROBO = "robocrystallographer"
HOSTILE_ID = "toy-<script>document.title='owned'</script>"
HOSTILE_FORMULA = "Na</td></table><img src=x onerror=alert(1)>"
HOSTILE_TEXT = 'He said "x" & \'y\' <script src="https://evil.example/a.js"></script>.'
HOSTILE_PROPERTY = "<b onclick='alert(1)'>gap</b>"


@cache
def _train(
    store: FeatureStore, features: str = "structure+text", seed: int = 0, shift: float = 0.05
) -> StoredModel:
    view = store.training_view(HOSTILE_PROPERTY, **toy.view_request(features))
    return train_model(store, view, Linear(shift), seed).model


@pytest.fixture(autouse=True)
def linear(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    register(monkeypatch, tmp_path / "site")
    yield


def _make(folder: Path, patch: pytest.MonkeyPatch) -> FeatureStore:
    """A store in which a property, a material, a formula and a sentence are hostile."""
    patch.setattr(toy, "PROPERTY", HOSTILE_PROPERTY)
    store = toy.make_store(
        folder, 60, erased=toy.TAGS, structure_segments=(("atom", 0, 1), ("bond", 1, 4))
    )
    store.merge_rows(
        "materials",
        [toy._material(64) | {"material_id": HOSTILE_ID, "formula": HOSTILE_FORMULA}],
    )
    common = {"material_id": HOSTILE_ID, "property": HOSTILE_PROPERTY, "run_id": "toy-run"}
    store.merge_rows("properties", [common | {"source": "toy", "value": -90.0, "unit": "eV"}])
    store.merge_rows("splits", [common | {"split": toy.SPLIT, "fold": "test"}])
    store.merge_rows(
        "sentences",
        [
            {
                "structure_id": "structure-64",
                "generator_id": f"{ROBO}_0000000003",
                "position": 0,
                "tag": "summary",
                "reference_tags": [],
                "sentence": HOSTILE_TEXT,
                "run_id": "toy-run",
            }
        ],
    )
    toy._merge_vectors(
        store, "structure", toy.STRUCTURE_ENCODER, "structure_id",
        {"structure-64": toy.structure_vector(64)},
    )  # fmt: skip
    texts = {text_id(HOSTILE_TEXT): toy.text_vector([HOSTILE_TEXT]), text_id(""): np.zeros(3, "f4")}
    toy._merge_vectors(store, "text", toy.TEXT_ENCODER, "text_id", texts)
    return store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FeatureStore]:
    with pytest.MonkeyPatch.context() as patch:
        register(patch, tmp_path_factory.mktemp("site"))
        store = _make(tmp_path_factory.mktemp("stores") / "store", patch)
        models = [_train(store, seed=seed) for seed in (0, 1)]
        for features in ("structure", "text"):
            _train(store, features)
        segment_effects(store, models, fold="test")
        tag_effects(store, models, TagAnalysis())
        yield store


@pytest.fixture(scope="module")
def source(store: FeatureStore, tmp_path_factory: pytest.TempPathFactory) -> str:
    return _report(store, tmp_path_factory.mktemp("report"))


def _report(store: FeatureStore, folder: Path, **asked: object) -> str:
    path = folder / "report.html"
    name = str(asked.pop("name", _train(store).model_id))
    with store.session() as session:
        write_report(session, name, path, store_uri=store.uri, **asked)
    return path.read_text("utf-8")


def test_the_page_stands_alone_and_hostile_names_are_text(source: str) -> None:
    page = check_alone(source)
    for name in (HOSTILE_ID, HOSTILE_FORMULA, HOSTILE_PROPERTY):
        assert name not in source
        assert html.escape(name) in source or html.escape(name).replace("&#x27;", "&#39;") in source
        assert re.sub(r"\s+", " ", name) in page.text
    assert HOSTILE_TEXT in page.text, "the worst predicted material is shown with its text"


def test_errors_are_those_of_the_stored_predictions(store: FeatureStore, source: str) -> None:
    rows = store.sql(
        "SELECT material_id, fold, target, avg(prediction) AS prediction, "
        "avg(abs(prediction - target)) AS error FROM predictions WHERE list_contains(?, model_id) "
        "GROUP BY ALL ORDER BY error DESC",
        [[_train(store, seed=seed).model_id for seed in (0, 1)]],
    ).to_pylist()
    page = Page(source)
    for row in page.rows("Errors by fold")[1:]:
        errors = [one["error"] for one in rows if one["fold"] == row[0]]
        assert int(row[1]) == len(errors)
        assert float(row[2]) == pytest.approx(np.mean(errors), rel=5e-3)
    worst = page.rows("worst test materials")[1:]
    expected = [one["material_id"] for one in rows if one["fold"] == "test"][:10]
    assert [row[0] for row in worst] == expected
    assert worst[0][0] == HOSTILE_ID and float(worst[0][4].replace("−", "-")) == -90
    # every toy material is NaCl, so that only the hostile one is new to the training
    assert "12 of the 13 test materials have a formula that a training material has" in page.text


@pytest.mark.slow
def test_stored_effects_are_shown_and_what_lacks_is_a_command_that_runs(
    store: FeatureStore, source: str, tmp_path: Path
) -> None:
    page = Page(source)
    shown = page.rows("Structure against text")
    assert [row[0] for row in shown[1:]] == [
        "whole structure", "structure: atom", "structure: bond", "whole text",
    ]  # fmt: skip
    (result,) = segment_effects(store, [_train(store, seed=s) for s in (0, 1)], fold="test")
    for row, effect in zip(shown[1:], result.effects, strict=True):
        value = float(row[2].replace("−", "-"))
        assert value == pytest.approx(effect.difference.value, abs=6e-4)
    assert [row[0] for row in page.rows("Kinds of sentences")[1:]] == list(toy.TAGS)
    assert "explain segments" not in page.text
    alone = _report(store, tmp_path, name=_train(store, "structure").model_id)
    page = check_alone(alone)
    assert "The model reads no text." in page.text
    command = re.search(r"<pre>(featurestore explain segments .*?)</pre>", alone)
    assert command is not None
    words = shlex.split(html.unescape(command[1]))
    assert CliRunner().invoke(explain, words[2:], catch_exceptions=False).exit_code == 0
    assert (
        "explain segments"
        not in Page(_report(store, tmp_path, name=_train(store, "structure").model_id)).text
    )


def test_a_model_of_text_alone(store: FeatureStore, tmp_path: Path) -> None:
    page = check_alone(_report(store, tmp_path, name=_train(store, "text").model_id))
    assert "The model has no structure vector." in page.text
    assert "Nearest by the text vector" in page.text
    assert "Nearest by the structure vector" not in page.text


@pytest.mark.slow
def test_three_materials_or_those_that_are_asked_for(
    store: FeatureStore, source: str, tmp_path: Path
) -> None:
    assert source.count("<article>") == 3
    chosen = _report(store, tmp_path, materials=["toy-004"])
    assert chosen.count("<article>") == 1
    rows = Page(chosen).rows("Neighbours by structure")[1:]
    vectors = np.stack([toy.structure_vector(i) for i in [*range(60), 64]]).astype(float)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit @ unit[4]
    order = [i for i in np.argsort(-cosines) if i != 4][:5]
    names = [f"toy-{i:03}" if i < 60 else HOSTILE_ID for i in order]
    assert [row[0] for row in rows] == names
    assert [float(row[4].replace("−", "-")) for row in rows] == pytest.approx(
        cosines[order], abs=1e-4
    )
    with pytest.raises(UnknownNameError, match="did you mean 'toy-004'"):
        _report(store, tmp_path, materials=["toy_004"])


def test_neighbours_of_a_zero_vector_and_of_few_rows() -> None:
    vectors = np.array([[0, 0], [1, 0], [0, 1]], dtype=np.float32)
    assert _nearest(vectors, 0, np.array([1, 2])) == []
    assert _nearest(vectors, 1, np.array([0, 2])) == [(0, 0.0), (2, 0.0)]


@pytest.mark.slow
def test_a_store_that_has_changed_since_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = _make(tmp_path / "store", monkeypatch)
    model = _train(store)
    assert "no longer those" not in _report(store, tmp_path)
    store.remove("properties", "material_id = 'toy-000'")
    assert "no longer those" in Page(_report(store, tmp_path, name=model.model_id)).text
    store.remove("encoders", "kind = 'text'")
    with pytest.raises(UnknownNameError, match="unknown text encoder"):
        _report(store, tmp_path, name=model.model_id)


def test_an_empty_test_fold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = _make(tmp_path / "store", monkeypatch)
    store.remove("splits", "fold = 'test'")
    page = check_alone(_report(store, tmp_path))
    assert "The test fold is empty" in page.text


def test_vectors_that_are_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = _make(tmp_path / "store", monkeypatch)
    model = _train(store)
    store.remove(embedding_table("text", toy.TEXT_ENCODER), "true")
    with pytest.raises(MissingDataError, match="lack a text vector"):
        _report(store, tmp_path, name=model.model_id)


def test_the_command_writes_the_page(store: FeatureStore, tmp_path: Path) -> None:
    path = tmp_path / "new" / "r.html"
    command = ["report", "--model", _train(store).model_id, "-o", str(path), "--store", store.uri]
    assert CliRunner().invoke(explain, command, catch_exceptions=False).exit_code == 0
    check_alone(path.read_text("utf-8"))


def _chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("no chromium on this machine; on Debian: apt-get install chromium")


def _browse(folder: Path, *arguments: str) -> str:
    """Run headless Chromium without a network; what it prints."""
    command = [
        _chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
        "--no-first-run", "--disable-background-networking", "--disable-component-update",
        "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND",
        "--allow-file-access-from-files", f"--user-data-dir={folder / 'profile'}", *arguments,
    ]  # fmt: skip
    environment = {**os.environ, "HOME": str(folder)}
    done = subprocess.run(command, capture_output=True, timeout=120, env=environment, check=True)
    return done.stdout.decode("utf-8")


_MEASURE = """
const page = document.getElementById('f').contentDocument;
const outside = [...page.querySelectorAll('.dot')].filter(dot => {
  const chart = dot.parentElement.getBoundingClientRect(), box = dot.getBoundingClientRect();
  return box.width !== 10 || box.left < chart.left - 6 || box.right > chart.right + 6;
});
const wide = [...page.body.querySelectorAll('*')].filter(e => !e.closest('.wide, svg')
  && e.getBoundingClientRect().right > page.documentElement.clientWidth + 1);
document.body.textContent = JSON.stringify({
  title: page.title, scroll: page.documentElement.scrollWidth,
  client: page.documentElement.clientWidth, dots: page.querySelectorAll('.dot').length,
  outside: outside.length, circles: page.querySelectorAll('circle').length,
  beyond: page.querySelectorAll('path.beyond').length,
  wide: wide.map(e => e.outerHTML.slice(0, 80)), paper: getComputedStyle(page.body).backgroundColor,
  ink: getComputedStyle(page.body).color,
});
"""


@pytest.mark.parametrize("width", [390, 1200])
def test_a_browser_shows_it_on_a_phone_and_a_desk(source: str, tmp_path: Path, width: int) -> None:
    (tmp_path / "report.html").write_text(source, "utf-8")
    # a window is never as narrow as a phone: the page stands in a frame of its width
    (tmp_path / "frame.html").write_text(
        f"<body><iframe id=f src=report.html width={width} height=800></iframe>"
        f"<script>onload = () => {{ {_MEASURE} }}</script>"
    )
    shown = _browse(tmp_path, "--dump-dom", f"file://{tmp_path}/frame.html")
    found = json.loads(html.unescape(re.search(r"\{.*\}", shown, re.DOTALL)[0]))  # type: ignore[index]
    assert found["title"].startswith(HOSTILE_PROPERTY), "no script of the page has run"
    assert found["scroll"] == found["client"], "nothing but tables scrolls sideways"
    assert found["wide"] == []
    assert (found["circles"], found["beyond"]) == (12, 1), "the hostile one is far from all others"
    assert found["dots"] == 3 + 1 + 4 + 3, "folds, groups, parts of the vector, tags"
    assert found["outside"] == 0
    assert found["paper"] == "rgb(255, 255, 255)"


def test_a_browser_shows_it_dark_where_people_prefer_it(source: str, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(source, "utf-8")
    (tmp_path / "frame.html").write_text(
        "<body><iframe id=f src=report.html></iframe>"
        f"<script>onload = () => {{ {_MEASURE} }}</script>"
    )
    dark = "--blink-settings=preferredColorScheme=0"
    shown = _browse(tmp_path, dark, "--dump-dom", f"file://{tmp_path}/frame.html")
    assert '"paper":"rgb(22, 24, 27)"' in shown and '"ink":"rgb(232, 232, 230)"' in shown


def test_the_error_comes_first_and_where_it_comes_from_is_folded(source: str) -> None:
    page = Page(source)
    assert "mean absolute error of" in page.text[:600], "within the first lines"
    assert source.index("<figure") < source.index("By fold") < source.index("<details")
    facts = source.index('<dl class="facts">')
    assert "<details" in source[source.index("What it relies on</h2>") : facts]
    assert "</details>" not in source[:facts], "and the facts stand inside the first of them"


def test_a_browser_prints_it(source: str, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(source, "utf-8")
    path = tmp_path / "report.pdf"
    _browse(
        tmp_path, f"--print-to-pdf={path}", "--no-pdf-header-footer",
        f"file://{tmp_path}/report.html",
    )  # fmt: skip
    content = path.read_bytes()
    assert content.startswith(b"%PDF")
    assert 2 <= len(re.findall(rb"/Type /Page\b", content)) <= 12
