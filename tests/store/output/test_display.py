"""How objects show themselves at a prompt and in a notebook."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pyarrow as pa
import pytest
import synthetic_store as toy

from featurestore.output.display import MOST_ROWS, Showing, as_html, as_text
from featurestore.store import FeatureStore


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return toy.make_store(tmp_path_factory.mktemp("shown") / "store", 30)


def test_text_and_html_say_the_same_and_count_what_they_leave_out():
    table = pa.table({"id": [f"m{i}" for i in range(MOST_ROWS + 5)], "x": [0.5] * (MOST_ROWS + 5)})
    showing = Showing("Rows", {"of": "a store"}, table, ("one note",))
    text, html = as_text(showing), as_html(showing)
    for said in (
        "Rows",
        "of",
        "a store",
        "m0",
        f"m{MOST_ROWS - 1}",
        "… and 5 more rows",
        "one note",
    ):
        assert said in text and said in html
    assert f"m{MOST_ROWS}" not in text and f"m{MOST_ROWS}" not in html


def test_html_escapes_everything():
    evil = "<script>alert(1)</script>"
    showing = Showing(evil, {evil: evil}, pa.table({evil: [evil]}), (evil,))
    assert "<script" not in as_html(showing)
    assert as_html(showing).count("&lt;script&gt;") == 6


@pytest.mark.parametrize("face", [repr, lambda shown: shown._repr_html_()], ids=["text", "html"])
def test_every_object_has_a_face(store, face):
    view = store.training_view(toy.PROPERTY, structure_encoder="toy-graph", split=toy.SPLIT)
    assert "Training view of mbj_bandgap, 30 rows" in face(view) and "columns 0:4" in face(view)
    hits = store.search.materials_like("toy-003")
    assert "10 materials" in face(hits) and "distance" in face(hits)
    result = store.sql("SELECT material_id FROM materials ORDER BY ALL")
    assert "30 rows" in face(result) and "toy-000" in face(result)
    assert Path(store.uri).name in face(store)


def test_the_store_tells_a_notebook_what_it_holds(store):
    html = store._repr_html_()
    assert "30 materials" in html and "mbj_bandgap: 30 values" in html


@pytest.mark.parametrize("room", ["featurestore", "ingest", "train", "explain"])
def test_a_package_lists_what_there_is(room):
    package = import_module(room)
    assert dir(package) == sorted(package.__all__)
    for name in package.__all__:
        assert getattr(package, name).__doc__
    with pytest.raises(AttributeError, match="nosuch"):
        package.nosuch  # noqa: B018
