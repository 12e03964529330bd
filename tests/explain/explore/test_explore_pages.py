from __future__ import annotations

import html
import io
import re
from pathlib import Path

import hostile_store as hostile
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import synthetic_store as toy
from served_pages import Served, client_of
from starlette.testclient import TestClient

import explain.explore
from explain.explore.api import ENDPOINTS
from explain.explore.elements import ELEMENTS, GRID
from explain.explore.engine import Limits
from explain.explore.finding import Finding
from explain.explore.pages import PAGES
from explain.explore.safety import Guard
from featurestore.crystal import Crystal
from featurestore.errors import InvalidInputError
from featurestore.store import FeatureStore
from ingest.structures.sources import expand_sources, read_sources

PACKAGE = Path(explain.explore.__file__).parent
ENCODER = toy.STRUCTURE_ENCODER


def addresses(served: Served) -> dict[str, dict[str, str]]:
    """Every page with parameters that lead to hostile texts."""
    return {
        "/": {"q": hostile.ID, "as": "id", "of": hostile.PROPERTY, "col": hostile.PROPERTY},
        "/material": {"id": hostile.ID},
        "/material/neighbours": {"id": "toy-001", "encoder": ENCODER},
        "/map": {"encoder": ENCODER, "colour": hostile.SCRIPT},
        "/models": {},
        "/model": {"id": served.model},
        "/model/lineage": {"id": served.model},
        "/compare": {"a": served.model, "b": hostile.SCRIPT},
        "/try": {},
        "/sql": {"q": f"SELECT * FROM failures -- {hostile.SCRIPT}"},
        "/store": {},
        "/api": {},
        "/store/coverage": {},
        "/store/quality": {},
        "/store/runs": {},
        "/store/failures": {},
        "/store/snapshots": {},
    }


def test_every_page_is_a_page_and_hostile_texts_are_text(served: Served) -> None:
    asked = addresses(served)
    assert set(asked) == set(PAGES)
    seen = ""
    for path, parameters in asked.items():
        answer = served.client.get(path, params=parameters)
        assert answer.status_code == 200, (path, answer.text[:500])
        text = answer.text
        for mark in ("<script>", "<img src=x", "<b onclick", "\x1b", "\u202e", "style="):
            assert mark not in text, (path, mark)
        assert "49 ." not in text, "no text is a template"
        for script in re.findall(r"<script[^>]*>", text):
            assert re.search(r'src="/static/[\w./-]+\.js\?', script), script
        assert not re.search(r"""\son\w+\s*=\s*["']""", re.sub(r'"[^"]*"', '""', text)), path
        seen += text
    for said in (hostile.ID, hostile.SCRIPT, hostile.PROPERTY, hostile.NOTE):
        assert str(html.escape(said)).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in seen


@pytest.mark.parametrize(
    ("text", "kind", "total"),
    [
        ("toy-007", "id", 1),
        ("TOY-00", "id", 10),
        ("NaCl", "formula", 60),
        ("ClNa", "formula", 60),
        ("Na Cl", "elements", 60),
        ("Na-Cl", "system", 60),
        ("n_atoms <= 2 AND crystal_system = 'cubic'", "sql", 61),
        ("summarises material 8", "words", None),
        ("Xe", "elements", 0),
    ],
)
def test_what_is_typed_is_read_as_what_it_looks_like(
    client: TestClient, text: str, kind: str, total: int | None
) -> None:
    found = client.get("/api/find", params={"q": text}).json()
    assert found["read_as"] == kind, found
    if total is not None:
        assert found["total"] == total
    if kind == "words":
        assert found["rows"][0]["material_id"] == "toy-008"


def test_an_order_pages_and_downloads_are_those_of_the_store(served: Served) -> None:
    store, client = served.store, served.client
    expected = store.sql(
        "SELECT material_id, value FROM properties ORDER BY value DESC, material_id"
    ).to_pylist()
    asked = {"sort": f"-{hostile.PROPERTY}", "col": hostile.PROPERTY}
    rows = [
        row
        for page in ("1", "2")
        for row in client.get("/api/find", params=asked | {"page": page}).json()["rows"]
    ]
    assert [row["material_id"] for row in rows] == [row["material_id"] for row in expected]
    assert [row[hostile.PROPERTY] for row in rows] == [row["value"] for row in expected]
    whole = client.get("/api/find", params=asked | {"format": "parquet"})
    table = pq.read_table(io.BytesIO(whole.content))
    assert table["material_id"].to_pylist() == [row["material_id"] for row in expected]
    arrow = client.get(
        "/api/find", params=asked, headers={"accept": "application/vnd.apache.arrow.stream"}
    )
    assert pa.ipc.open_stream(arrow.content).read_all().equals(table)
    csv = client.get("/api/find", params=asked | {"format": "csv"})
    assert len(csv.text.splitlines()) == hostile.N + 1
    assert "attachment" in csv.headers["content-disposition"]


def test_facets_count_what_is_found(client: TestClient) -> None:
    asked = {"element": "Na", "range": f"{hostile.PROPERTY}:0:", "histogram": hostile.PROPERTY}
    found = client.get("/api/facets", params=asked).json()
    positive = client.get("/api/find", params={"q": f'"{hostile.PROPERTY}" >= 0', "as": "sql"})
    n = positive.json()["total"]
    assert 0 < n < 60
    assert found["systems"] == {"cubic": n} and found["elements"] == {"Na": n, "Cl": n}
    histogram = found["histogram"]
    assert sum(histogram["counts"]) == histogram["n"] == 61, "its own range is left out"
    assert histogram["below"] == 1, "the one at -90 does not squeeze the others"
    assert histogram["edges"][0] > -20


def test_facets_of_words_count_those_that_hold_the_words(client: TestClient) -> None:
    asked = {"q": "summarises material 8", "as": "words"}
    found = client.get("/api/find", params=asked).json()
    facets = client.get("/api/facets", params=asked | {"histogram": hostile.PROPERTY}).json()
    assert 0 < found["total"] < hostile.N
    assert sum(facets["systems"].values()) == facets["elements"]["Na"] == found["total"]
    assert facets["histogram"]["n"] == found["total"]
    nothing = client.get("/api/facets", params={"q": "zzzz", "as": "words"}).json()
    assert nothing["systems"] == nothing["elements"] == {}


@pytest.mark.parametrize(
    "asked",
    [
        {"q": f'"{hostile.PROPERTY}" > 0', "as": "sql"},
        {"range": f"{hostile.PROPERTY}:0:"},
        {"of": hostile.PROPERTY},
        {"sort": f"-{hostile.PROPERTY}"},
    ],
    ids=["condition", "range", "histogram", "order"],
)
def test_the_values_that_are_asked_about_are_shown(
    client: TestClient, asked: dict[str, str]
) -> None:
    [first, *_] = client.get("/api/find", params=asked).json()["rows"]
    assert isinstance(first[hostile.PROPERTY], float) and first["formula"]
    chosen = client.get("/api/find", params=asked | {"col": "volume"}).json()["rows"]
    assert set(chosen[0]) == {"material_id", "volume"}


def test_an_address_holds_what_is_looked_for() -> None:
    pairs = [
        ("q", "Li O"), ("as", "elements"), ("system", "cubic"), ("without", "Fe"),
        ("col", "volume"), ("range", "a:b:1.5:"), ("class", "metal:true"), ("sort", "-volume"),
        ("page", "3"),
    ]  # fmt: skip
    finding = Finding.of(pairs)
    from urllib.parse import parse_qsl

    assert Finding.of(parse_qsl(finding.query())) == finding
    assert finding.ranges == (("a:b", 1.5, None),)
    assert Finding.of(parse_qsl(finding.query(systems=()))).page == 1
    for wrong in (("page", "-1"), ("as", "x"), ("element", "Qq"), ("range", "gap"), ("page", "²")):
        with pytest.raises(InvalidInputError):
            Finding.of([wrong])


def test_bad_questions_are_answered_with_what_is_wrong(client: TestClient) -> None:
    for path, parameters, status, said in (
        ("/api/find", {"q": "gap >"}, 400, "not an SQL condition"),
        ("/api/find", {"q": "gapp > 1"}, 404, "column or property"),
        ("/api/find", {"page": "0"}, 400, "page"),
        ("/api/find", {"sort": "nothing"}, 404, "nothing"),
        ("/api/material", {"id": "toy-0077"}, 404, "toy-007"),
        ("/api/material", {}, 400, "id"),
        ("/api/model/points", {"id": "nobody"}, 404, "nobody"),
        ("/api/map", {"encoder": "nobody"}, 404, "nobody"),
        ("/api/map", {"encoder": ENCODER, "method": "magic"}, 400, "magic"),
        ("/api/map", {"encoder": ENCODER, "colour": "magic"}, 400, "magic"),
        ("/api/find", {"format": "exe"}, 400, "exe"),
        ("/api/nothing", {}, 404, ""),
    ):
        answer = client.get(path, params=parameters)
        assert answer.status_code == status, (path, parameters, answer.text)
        assert said in answer.json()["message"], answer.json()
    page = client.get("/", params={"q": "gapp > 1"})
    assert page.status_code == 200 and "column or property" in page.text
    assert client.get("/nothing").status_code == 404


def test_a_structure_is_drawn_and_comes_back_as_it_was(served: Served, tmp_path: Path) -> None:
    drawing = served.client.get("/api/material/drawing", params={"id": hostile.ID})
    assert drawing.headers["content-type"].startswith("image/svg")
    assert "<script" not in drawing.text and "<img" not in drawing.text
    several = {"id": "toy-001", "a": "2", "b": "1", "c": "1"}
    found = served.client.get("/api/material/scene", params=several).json()
    # A caesium chloride cell: sodium at every corner, chlorine within.
    assert found["species"].count("Na") == 12 and found["species"].count("Cl") == 2
    many = several | {"a": "20", "b": "20", "c": "20"}
    assert served.client.get("/api/material/scene", params=many).status_code == 400
    with served.store.session() as session:
        [row] = session.query("FROM materials WHERE material_id = 'toy-001'").to_pylist()
    for kind, name in (("cif", "a.cif"), ("poscar", "POSCAR")):
        asked = {"id": "toy-001", "format": kind}
        text = served.client.get("/api/material/structure", params=asked).text
        (tmp_path / name).write_text(text)
        [record] = read_sources(expand_sources([str(tmp_path / name)]))
        assert isinstance(record.structure, Crystal), record
        assert record.structure.species == tuple(row["species"])
        assert np.allclose(record.structure.frac_coords.ravel(), row["frac_coords"])
        assert np.allclose(np.abs(record.structure.lattice.ravel()), row["lattice"])


def test_a_material_says_all_that_is_stored_of_it(served: Served) -> None:
    found = served.client.get("/api/material", params={"id": "toy-004"}).json()
    assert found["values"][0]["shown"] == pytest.approx(toy.target(4))
    by_model = {one["model_id"]: one for one in found["predictions"]}
    two_seeds = by_model[served.model]
    mean = served.store.sql(
        "SELECT avg(prediction) AS p FROM predictions JOIN models USING (model_id) WHERE "
        "material_id = 'toy-004' AND features = 'structure+text'"
    )["p"][0].as_py()
    assert two_seeds["seeds"] == 2 and two_seeds["shown"] == pytest.approx(mean)
    assert [one["tag"] for one in found["texts"][0]["sentences"]] == ["summary", "bond length"]
    near = served.client.get(
        "/api/material/neighbours", params={"id": "toy-004", "encoder": ENCODER, "k": 3}
    ).json()
    hits = served.store.search.materials_like("toy-004", encoders=[ENCODER])
    assert [row["material_id"] for row in near["rows"]] == hits.table["material_id"].to_pylist()[:3]
    page = served.client.get("/material", params={"id": "toy-004"}).text
    assert "source file" in page and "structure vector" in page and "predictions" in page


def test_a_map_is_made_once_and_kept_outside_the_store(served: Served, cache: Path) -> None:
    before = set(Path(served.store.uri).rglob("*"))
    asked = {"encoder": ENCODER, "colour": f"property:{hostile.PROPERTY}"}
    rows = served.client.get("/api/map", params=asked).json()
    assert len(rows["rows"]) == hostile.N and len(rows["axes"]) == 2
    kept = list(cache.glob("*.npz"))
    assert kept and set(Path(served.store.uri).rglob("*")) == before
    kept[0].write_bytes(b"damaged")
    packed = served.client.get("/api/map", params=asked | {"format": "packed"}).content
    length = int.from_bytes(packed[:4], "little")
    xy = np.frombuffer(packed, "<f4", 2 * hostile.N, 4 + length).reshape(-1, 2)
    assert np.allclose(xy, [[row["x"], row["y"]] for row in rows["rows"]], atol=1e-5)
    low, high = rows["limits"][0]
    assert low < np.median(xy[:, 0]) < high
    by_cluster = served.client.get("/api/map", params=asked | {"colour": "cluster"}).json()
    assert 3 < len({row["colour"] for row in by_cluster["rows"]}) <= 10
    for colour in (
        "n_atoms",
        "crystal_system",
        f"error:{served.model}",
        f"fold:toy:{hostile.PROPERTY}",
    ):
        answer = served.client.get("/api/map", params=asked | {"colour": colour})
        assert answer.status_code == 200 and answer.json()["rows"][4]["colour"] is not None, colour


def test_errors_of_a_model_are_those_of_its_predictions(served: Served) -> None:
    boards = served.client.get("/api/models").json()["boards"]
    assert [len(board["models"]) for board in boards] == [2]
    errors = [one["error"] for one in boards[0]["models"]]
    assert errors == sorted(errors)
    by_seeds = {len(one["model_ids"]): one for one in boards[0]["models"]}
    alone, other = by_seeds[1], by_seeds[1]["model_ids"][0]
    assert served.model in by_seeds[2]["model_ids"]
    points = served.client.get("/api/model/points", params={"id": other, "fold": "test"})
    rows = points.json()["rows"]
    mae = np.mean([abs(row["prediction"] - row["target"]) for row in rows])
    assert alone["error"] == pytest.approx(mae)
    assert len(rows) == alone["sizes"]["test"] == 13
    page = served.client.get("/model", params={"id": served.model}).text
    assert hostile.FORMULA not in page and "The largest errors" in page
    compared = served.client.get("/compare", params={"a": served.model, "b": other}).text
    assert "13 common test materials" in compared


def test_sql_is_answered_shown_in_part_and_explained(served: Served) -> None:
    client = served.client
    asked = {"q": "SELECT material_id FROM materials ORDER BY 1", "most": "5"}
    found = client.get("/api/sql", params=asked).json()
    assert found["more"] and len(found["rows"]) == 5
    everything = client.get("/api/sql", params=asked | {"format": "parquet"})
    assert pq.read_table(io.BytesIO(everything.content)).num_rows == hostile.N
    page = client.get("/sql", params={"q": "SELECT 1 AS a, 2 AS a"}).text
    assert "1 row</strong>" in page
    long = client.get("/sql", params={"q": "SELECT repeat('word ', 60) AS a"}).text
    assert "<details><summary>word word" in long, "a long value does not push the next row away"
    plan = client.get("/sql", params={"q": "FROM materials", "explain": "1"}).text
    assert "PYARROW" in plan.upper() or "SCAN" in plan.upper()
    words = client.get("/api/vocabulary").json()
    assert "material_id" in words["tables"]["materials"] and "texts" in words["macros"]


def test_the_interface_is_described_and_the_pages_use_it_and_no_other(client: TestClient) -> None:
    described = client.get("/api/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    assert set(described["paths"]) == {one.path for one in ENDPOINTS}
    operations = [one["get"]["operationId"] for one in described["paths"].values()]
    assert len(set(operations)) == len(operations)
    sources = [*(PACKAGE / "static").glob("*.js"), *(PACKAGE / "templates").glob("*.html")]
    text = "\n".join(path.read_text("utf-8") for path in sources)
    used = set(re.findall(r"/api(/[a-z/]+[a-z])", text))
    assert used - {"/openapi"} <= set(described["paths"])
    assert not re.findall(r"https?://(?!www\.w3\.org)", text), "nothing from elsewhere"


def test_a_store_that_changes_below_the_server_is_seen_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    toy.make_store(folder, 5)
    with client_of(str(folder), Guard(), Limits(processes=0)) as client:
        assert client.get("/api/find").json()["total"] == 5
        FeatureStore.open(folder).merge_rows("materials", [toy._material(70)])
        assert client.get("/api/find").json()["total"] == 6
        folder.rename(tmp_path / "away")
        gone = client.get("/api/find")
        assert gone.status_code in (404, 503), gone.text
        toy.make_store(folder, 5)
        FeatureStore.open(folder).merge_rows("materials", [toy._material(71)])
        rows = client.get("/api/find").json()["rows"]
        assert rows[-1]["material_id"] == "toy-071", "its versions are those of the other"
        ids = client.get("/api/find", params={"q": "toy-070"}).json()
        assert ids["total"] == 0


def test_the_periodic_table_has_every_element_once() -> None:
    placed = [one.symbol for line in GRID for one in line if one is not None]
    assert sorted(placed) == sorted(ELEMENTS) and len(placed) == 118
    assert (ELEMENTS["He"].row, ELEMENTS["He"].group) == (1, 18)
    assert (ELEMENTS["Fe"].row, ELEMENTS["Fe"].group) == (4, 8)
    assert (ELEMENTS["U"].row, ELEMENTS["U"].group) == (9, 6)
