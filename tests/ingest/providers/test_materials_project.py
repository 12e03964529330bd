"""``ingest mp`` by mp-api against a server of the same form: pages, ids, keys, errors."""

from __future__ import annotations

from typing import Any

import pytest
from quirky_server import QuirkyServer, Reply, reply

from featurestore.cli import root
from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.store import FeatureStore
from ingest import add_mp
from ingest.providers.materials_project import parse_conditions
from ingest.providers.refusals import ProviderError
from ingest.recording import IncompleteError, NothingSucceededError

pytest.importorskip("mp_api", reason="needs mp-api")

KEY = "abcDEF0123456789abcDEF0123456789"
SUMMARY = "/materials/summary/"
COLUMN = ("formation_energy_per_atom=formation_energy_peratom",)


def document(number: int) -> dict[str, Any]:
    a = 4.0 + number / 50
    sites = [
        {"species": [{"element": symbol, "occu": 1}], "abc": [place] * 3}
        for symbol, place in (("Cs", 0.0), ("Cl", 0.5))
    ]
    return {
        "material_id": f"mp-{number}",
        "structure": {
            "@module": "os",
            "@class": "system",
            "lattice": {"matrix": [[a, 0, 0], [0, a, 0], [0, 0, a]]},
            "sites": sites,
        },
        "formation_energy_per_atom": -number / 10,
        "last_updated": "2026-01-02T03:04:05Z",
    }


@pytest.fixture
def project(quirky: QuirkyServer, monkeypatch: pytest.MonkeyPatch) -> QuirkyServer:
    """Twelve materials."""
    monkeypatch.setenv("MP_API_KEY", KEY)
    quirky.total = 12
    heartbeat = {"db_version": "2026.01.01", "access_controlled_batch_ids": []}

    def summary(query: dict[str, str]) -> Reply:
        wanted = query.get("material_ids", "").split(",") if "material_ids" in query else None
        names = [n for n in range(1, quirky.total + 1) if not wanted or f"mp-{n}" in wanted]
        skip, most = int(query.get("_skip", 0)), int(query.get("_limit", 100))
        fields = query["_fields"].split(",")
        rows = [{f: document(n).get(f) for f in fields} for n in names[skip : skip + most]]
        return reply({"data": rows, "meta": {"total_doc": len(names)}})

    quirky.routes = {"/heartbeat": [reply(heartbeat)], SUMMARY: summary}
    return quirky


def read(store: FeatureStore, project: QuirkyServer, **options: Any) -> Any:
    return add_mp(store, ["elements=Cs"], endpoint=f"{project.base}/", **options)


@pytest.mark.slow
def test_a_property_of_ones_own(store: FeatureStore, project: QuirkyServer) -> None:
    read(store, project, limit=2, columns=["formation_energy_per_atom=mixing:eV/atom"])
    read(store, project, limit=3, columns=["formation_energy_per_atom=mixing"])
    rows = store.sql("SELECT property, count(*) AS n FROM properties GROUP BY ALL").to_pylist()
    assert rows == [{"property": "mixing", "n": 3}]


def test_materials_targets_and_their_origin(store: FeatureStore, project: QuirkyServer) -> None:
    result = read(store, project, columns=COLUMN)
    assert (result.written, result.outcomes[1].written) == (12, 12)
    (row,) = store.sql(
        "SELECT * FROM materials JOIN properties USING (material_id) WHERE material_id = 'mp-7'"
    ).to_pylist()
    assert row["value"] == -0.7 and row["source"] == row["dataset"] == "mp"
    assert row["lattice"][0] == pytest.approx(4.14)
    assert row["source_file"].endswith("material_ids=mp-7#last_modified=2026-01-02T03:04:05Z")
    (run,) = store.sql("SELECT arguments FROM runs").to_pylist()
    assert '"database_version":"2026.01.01"' in run["arguments"]
    assert all("elements=Cs" in one for one in project.asked[1:2])


def test_what_is_there_is_not_asked_for_again(store: FeatureStore, project: QuirkyServer) -> None:
    assert read(store, project, limit=5).written == 5
    project.asked.clear()
    rest = read(store, project)
    assert (rest.written, rest.outcomes[0].present) == (7, 5)
    assert sum("material_ids=" in one for one in project.asked) == 1
    more = read(store, project, columns=COLUMN)
    assert (more.written, more.outcomes[0].present, more.outcomes[1].written) == (0, 12, 12)


def test_a_server_that_stops_is_gone_on_with(
    store: FeatureStore, project: QuirkyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.providers.materials_project._AT_ONCE", 4)
    whole = project.routes[SUMMARY]
    assert callable(whole)
    answers = iter([True, True, False])

    def stopping(query: dict[str, str]) -> Reply:
        return whole(query) if next(answers, False) else reply({"detail": "gone"}, 418)

    project.routes[SUMMARY] = stopping
    with pytest.raises(IncompleteError, match="gone") as caught:
        read(store, project)
    assert caught.value.result.written == 4
    project.routes[SUMMARY] = whole
    assert read(store, project).written == 8


def test_the_key_is_kept_nowhere(
    store: FeatureStore, project: QuirkyServer, capsys: pytest.CaptureFixture[str]
) -> None:
    read(store, project, limit=2)
    project.routes[SUMMARY] = lambda _: reply({"detail": f"what a key: {KEY}"}, 418)
    with pytest.raises(ProviderError) as caught:
        read(store, project)
    tables = [str(store.sql(f"FROM {name}").to_pylist()) for name in ("runs", "materials")]
    assert "[hidden]" in str(caught.value)
    assert not any(KEY in text for text in (*tables, str(caught.value), *capsys.readouterr()))


@pytest.mark.parametrize("status", [401, 403])
def test_an_expired_key_is_said_to_be_one(
    store: FeatureStore, project: QuirkyServer, status: int
) -> None:
    project.routes[SUMMARY] = [reply({"message": "Invalid authentication credentials"}, status)]
    with pytest.raises(ProviderError, match=r"refuses the key in MP_API_KEY .* expired"):
        read(store, project)


def test_no_key_and_no_key_of_this_api(
    store: FeatureStore, project: QuirkyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MP_API_KEY", "old-key")
    with pytest.raises(InvalidInputError, match="32 letters") as caught:
        read(store, project)
    assert "old-key" not in str(caught.value)
    monkeypatch.delenv("MP_API_KEY")
    monkeypatch.delenv("PMG_MAPI_KEY", raising=False)
    with pytest.raises(InvalidInputError, match="wants a key"):
        read(store, project)
    monkeypatch.setenv("PMG_MAPI_KEY", KEY)
    assert read(store, project, limit=1).written == 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Reply(b"", 302, {"Location": "http://elsewhere.example/"}), "the key is not sent"),
        (Reply(b"<html>maintenance</html>"), "the Materials Project: "),
        (reply({"data": [{"material_id": "mp-1"}], "meta": {"total_doc": 9}}), "counts 9"),
        (reply({"detail": [{"loc": ["query", "elements"], "msg": "bad"}]}, 422), "elements - bad"),
    ],
    ids=range(4),
)
def test_wrong_answers(
    store: FeatureStore, project: QuirkyServer, answer: Reply, words: str
) -> None:
    project.routes[SUMMARY] = [answer]
    with pytest.raises(ProviderError, match=words):
        read(store, project)


def test_a_material_without_a_structure_is_a_failure(
    store: FeatureStore, project: QuirkyServer
) -> None:
    whole = project.routes[SUMMARY]
    assert callable(whole)

    def lacking(query: dict[str, str]) -> Reply:
        if "material_ids" not in query:
            return whole(query)
        rows = [document(1) | {"structure": None}, document(3)]
        return reply({"data": rows, "meta": {"total_doc": 2}})

    project.routes[SUMMARY] = lacking
    with pytest.raises(NothingSucceededError) as caught:
        read(store, project, limit=2)  # mp-1 and, by name, mp-10
    assert caught.value.result.outcomes[0].failures.keys() == {"mp-1", "mp-10"}


def test_conditions() -> None:
    assert parse_conditions(
        ["elements=Te, Bi", "band_gap=0.5..", "num_elements=2", "is_stable=True", "formula=Bi2Te3"]
    ) == {
        "elements": ["Te", "Bi"],
        "band_gap": (0.5, None),
        "num_elements": (2, 2),
        "is_stable": True,
        "formula": ["Bi2Te3"],
    }
    with pytest.raises(UnknownNameError, match="did you mean 'band_gap'"):
        parse_conditions(["bandgap=1..2"])
    for bad in ("band_gap=wide", "band_gap=..", "is_stable=perhaps", "elements", "fields=a"):
        with pytest.raises((InvalidInputError, UnknownNameError)):
            parse_conditions([bad])
    with pytest.raises(InvalidInputError, match="which materials"):
        parse_conditions([])


def test_the_command_names_what_is_lacking(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.delenv("MP_API_KEY", raising=False)
    monkeypatch.delenv("PMG_MAPI_KEY", raising=False)
    words = ["ingest", "mp", "--where", "elements=Te", "--store", str(tmp_path / "store")]
    with pytest.raises(InvalidInputError, match="MP_API_KEY"):
        root.main(words, standalone_mode=False)
