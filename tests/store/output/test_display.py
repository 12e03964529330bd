"""How objects show themselves at a prompt and in a notebook."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import synthetic_store as toy

from featurestore.crystal import Crystal
from featurestore.errors import UnknownNameError
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


def test_formulas_have_subscripts_numbers_stand_to_the_right_and_all_is_escaped():
    table = pa.table({"formula": ["Fe2O3", "<i>2"], "space_group": ["P2_1/c", "<b>"], "x": [1, 2]})
    html = as_html(Showing("t", table=table))
    assert "Fe<sub>2</sub>O<sub>3</sub>" in html and "P2<sub>1</sub>/c" in html
    assert "&lt;i&gt;2" in html and "&lt;b&gt;" in html and "<td class='n'>2</td>" in html
    assert "Fe2O3" in as_text(Showing("t", table=table)), "a terminal gets what is stored"


def test_a_structure_draws_itself():
    lattice = np.diag([4.0, 5.0, 6.0])
    coords = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.2, 0.2, 0.2]])
    crystal = Crystal(lattice, ("Na", "Cl", "X<"), coords)
    html = crystal._repr_html_()
    (svg,) = re.findall(r"<svg.*</svg>", html)
    assert svg.count("<title>Na</title>") == 8, "on every corner"
    assert svg.count("<title>Cl</title>") == 1 and "<title>X&lt;</title>" in svg
    assert "4.0000, 5.0000, 6.0000 Å" in html and "90.00, 90.00, 90.00°" in repr(crystal)
    assert "<script" not in html and "svg" not in repr(crystal), "but in a frame"
    large = Crystal(lattice, ("H",) * 401, np.zeros((401, 3)))
    assert "<circle" not in large._repr_html_() and "H₄₀₁" in large._repr_html_()
    atoms = Crystal(lattice, ("Na", "Cl"), np.array([[0, 0, 0], [0.5, 0.5, 0.5]])).to_ase()
    assert atoms.get_chemical_formula() == "ClNa" and atoms.get_volume() == pytest.approx(120)


@pytest.mark.parametrize(
    "lattice", [[[1, 0, 0], [2, 0, 0], [0, 0, 3]], np.zeros((3, 3)), np.full((3, 3), np.nan)]
)
def test_a_cell_without_a_volume_is_told_but_not_drawn(lattice):
    with np.errstate(all="ignore"):
        html = Crystal(np.array(lattice, float), ("H",), np.zeros((1, 3)))._repr_html_()
    assert "volume" in html and "<svg" not in html


def test_the_store_gives_a_structure(store):
    assert store.crystal("toy-003").n_atoms > 0
    with pytest.raises(UnknownNameError, match="nosuch"):
        store.crystal("nosuch")


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
