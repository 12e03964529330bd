"""The style of figures, their files, and how names, units and formulas are printed."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib
import numpy as np
import pyarrow as pa
import pytest

from featurestore.errors import InvalidInputError
from featurestore.output.figures import figure_models, write_figure
from featurestore.output.labels import (
    formula_html,
    formula_text,
    printed_unit,
    property_axis,
    space_group_html,
)
from featurestore.output.style import density, new_figure, robust_limits, styled
from featurestore.registry import load_registry
from featurestore.search.map import SpaceMap
from featurestore.search.map_figure import draw_map, map_figure

ROOMS = Path(__file__).parents[3]


def test_no_room_touches_the_backend_or_pyplot():
    wrong = [
        path
        for room in ("featurestore", "ingest", "train", "explain")
        for path in (ROOMS / room).rglob("*.py")
        if re.search(r"matplotlib\.use\(|pyplot", path.read_text("utf-8").replace("no pyplot", ""))
    ]
    assert wrong == []


@styled
def _figure(models):
    figure = new_figure(2, 2, models)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1])
    # neither is mathematics, and $x$ alone would be
    axes.set_title("$x$ costs $5 {")
    axes.set_xticks([0, 1], ["$y", "y$"])
    return figure


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_figure_is_the_same_file_each_time_and_names_its_models(tmp_path, suffix):
    models = ["b_(1)", "a_\\2é", "<&>"]
    files = [tmp_path / f"{name}{suffix}" for name in ("one", "two")]
    before = dict(matplotlib.rcParams)
    for path in files:
        write_figure(_figure(models), path)
        assert figure_models(path) == sorted(models)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert dict(matplotlib.rcParams) == before


def test_the_callers_own_style_stays_out():
    plain = _figure([])._repr_png_()
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        assert _figure([])._repr_png_() == plain
    assert plain.startswith(b"\x89PNG")


def test_other_suffixes_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(InvalidInputError, match=r"ends in \.png, \.svg or \.pdf"):
        write_figure(_figure([]), tmp_path / "f.jpeg")
    assert list(tmp_path.iterdir()) == []


def test_one_outlier_does_not_squeeze_an_axis_and_a_second_group_is_none():
    values = np.arange(50.0)
    assert robust_limits(np.append(values, 1e6))[1] < 100
    assert robust_limits(values)[0] < 0 < 49 < robust_limits(values)[1]
    two = np.concatenate([values, values + 500])
    assert robust_limits(two)[1] > 549
    for few in ([1.0], [2.0, 2.0, 2.0], [0.0, 1e9]):
        low, high = robust_limits(np.array(few))
        assert low < min(few) <= max(few) < high


def _map(x, colour):
    points = pa.table(
        {"material_id": [f"m{i}" for i in range(len(x))], "x": x, "y": x, "c": colour}
    )
    return SpaceMap(points, "c", "eV", ("x", "y"), "toy_0123456789", "")


def test_a_map_counts_what_lies_beyond_its_frame(tmp_path):
    x = np.append(np.arange(60.0), [1e5, -1e5])
    for colour in (x, np.array(["a", "b"] * 31)):
        (axes, *_) = map_figure(_map(x, colour)).axes
        assert axes.get_xlim()[1] < 100
        assert [text.get_text() for text in axes.texts] == ["▲ 2 beyond the frame, at its rim"]
    (axes, *_) = map_figure(_map(x[:60], x[:60])).axes
    assert not axes.texts
    draw_map(_map(x, x), tmp_path / "m.svg")
    assert (tmp_path / "m.svg").read_text("utf-8").startswith("<?xml")


def test_density_counts_neighbours():
    near = density(np.array([0.0, 0.001, 0.002, 1.0]), np.array([0.0, 0.001, 0.002, 1.0]))
    assert near[0] == near[1] == near[2] == 3 * near[3]


def test_every_property_has_a_title_and_no_two_share_one():
    titles = [one.title for one in load_registry().properties.values()]
    assert all(titles) and len(set(titles)) == len(titles)


def test_a_title_in_a_registry_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('[hardness]\nunit = "GPa"\nrange = [0, 200]\ntitle = "Vickers hardness"\n')
    assert load_registry(path)["hardness"].title == "Vickers hardness"
    path.write_text('[hardness]\nunit = "GPa"\nrange = [0, 200]\ntitle = 3\n')
    with pytest.raises(InvalidInputError, match="title"):
        load_registry(path)


@pytest.mark.parametrize(
    ("formula", "text", "html"),
    [
        ("Fe2O3", "Fe₂O₃", "Fe<sub>2</sub>O<sub>3</sub>"),
        ("Ca3(PO4)2", "Ca₃(PO₄)₂", "Ca<sub>3</sub>(PO<sub>4</sub>)<sub>2</sub>"),
        ("Li0.5CoO2", "Li₀.₅CoO₂", "Li<sub>0.5</sub>CoO<sub>2</sub>"),
        ("2H2O", "2H₂O", "2H<sub>2</sub>O"),
        ("run-12", "run-12", "run-12"),
        ("<b>2</b>", "<b>2</b>", "&lt;b&gt;2&lt;/b&gt;"),
        ("", "", ""),
    ],
)
def test_formulas_have_subscripts(formula, text, html):
    assert (formula_text(formula), formula_html(formula)) == (text, html)


def test_names_and_units():
    assert property_axis("mbj_bandgap", "eV") == "TB-mBJ band gap (eV)"
    assert property_axis("my_own", "1") == "my_own"
    assert [printed_unit(unit) for unit in ("mu_B", "m_e", "uV/K", "C/m^2", "1e21 V/m^2")] == [
        "μB", "mₑ", "μV/K", "C/m²", "10²¹ V/m²",
    ]  # fmt: skip
    assert space_group_html("P2_1/c<") == "P2<sub>1</sub>/c&lt;"
