"""``ingest optimade`` against a real server: what is stored, recorded, refused and gone on with."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from optimade_entries import entry, refused
from quirky_server import QuirkyServer, meta, reply

import ingest.library.storing
from featurestore.cli import root
from featurestore.crystal import Crystal
from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.store import FeatureStore
from ingest import add_optimade, add_structures
from ingest.providers.optimade.databases import providers
from ingest.structures.readers.optimade_form import read_entry
from ingest.structures.refusals import InvalidStructureError

CS = 'elements HAS "Cs" AND nelements=2'
COLUMN = ("_exmpl_delta_e=formation_energy_peratom",)


def answered(store: FeatureStore) -> dict[str, Any]:
    """What the latest run has on record about its provider."""
    rows = store.sql("SELECT arguments FROM runs ORDER BY started_at DESC LIMIT 1").to_pylist()
    return json.loads(rows[0]["arguments"])["answered"]


def ids(store: FeatureStore) -> list[str]:
    rows = store.sql("SELECT material_id FROM materials ORDER BY material_id").to_pylist()
    return [row["material_id"] for row in rows]


def test_structures_targets_and_their_origin(store: FeatureStore, optimade_url: str) -> None:
    result = add_optimade(store, optimade_url, CS, columns=COLUMN, page_limit=10, pause=0)
    assert (result.written, result.outcomes[1].written) == (25, 25)
    (row,) = store.sql(
        "SELECT * FROM materials JOIN properties USING (material_id) "
        "WHERE material_id = 'exmpl-003'"
    ).to_pylist()
    assert row["formula"] == "CsCl" and row["space_group_number"] == 221
    assert row["lattice"][0] == pytest.approx(4.06) and row["species"] == ["Cs", "Cl"]
    assert row["source_file"] == (
        f"{optimade_url}/v1/structures/003#last_modified=2026-05-04T10:00:00Z"
    )
    assert row["dataset"] == row["source"] == "exmpl"
    assert row["value"] == pytest.approx(-1.03) and row["unit"] == "eV/atom"
    facts = answered(store)
    assert facts["provider"] == "Example provider"
    assert facts["implementation"].startswith("OPTIMADE Python Tools 1.")
    assert facts["api_version"].startswith("1.") and facts["next"] is None
    assert "<table" in result._repr_html_() or "materials" in result._repr_html_()


def test_the_same_again_writes_nothing(store: FeatureStore, optimade_url: str) -> None:
    for present in (0, 25):
        result = add_optimade(store, optimade_url, CS, pause=0)
        assert (result.written, result.outcomes[0].present) == (25 - present, present)
    assert len(ids(store)) == 25


def test_a_limit_is_gone_on_from(store: FeatureStore, optimade_url: str) -> None:
    first = add_optimade(store, optimade_url, CS, limit=12, page_limit=10, pause=0)
    assert first.written == 12 and answered(store)["entries_before"] == 10
    more = add_optimade(store, optimade_url, CS, limit=20, page_limit=10, pause=0)
    assert (more.written, more.outcomes[0].present) == (8, 2)
    assert any("goes on after 10 entries" in note for note in more.outcomes[0].notes)
    rest = add_optimade(store, optimade_url, CS, page_limit=10, pause=0)
    assert (rest.written, rest.outcomes[0].present) == (5, 0)
    assert ids(store) == [f"exmpl-{number:03d}" for number in range(25)]
    again = add_optimade(store, optimade_url, CS, page_limit=10, pause=0, from_start=True)
    assert again.outcomes[0].present == 25


def test_a_kill_is_gone_on_from(
    store: FeatureStore, optimade_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a killed process leaves: its run is on record as running, with its page."""
    monkeypatch.setattr(ingest.library.storing, "_A_BATCH", 5)
    merge = FeatureStore.merge_rows
    merges = itertools.count()

    def dying(*arguments: Any, **options: Any) -> Any:
        if arguments[1] == "materials" and next(merges) == 3:
            raise SystemError("the power is gone")
        return merge(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(FeatureStore, "merge_rows", dying)
        with pytest.raises(SystemError):
            add_optimade(store, optimade_url, CS, page_limit=10, pause=0)
    assert len(ids(store)) == 15 and answered(store)["entries_before"] == 10
    result = add_optimade(store, optimade_url, CS, page_limit=10, pause=0)
    assert (result.written, result.outcomes[0].present) == (10, 5)


def test_too_large_pages_are_left_to_the_server(store: FeatureStore, optimade_url: str) -> None:
    """The server allows 20 and refuses more with status 403."""
    assert add_optimade(store, optimade_url, CS, page_limit=1000, pause=0).written == 25


def test_disorder_is_refused_or_ordered(store: FeatureStore, optimade_url: str) -> None:
    mixed = "nelements=3"
    with pytest.raises(Exception, match="none of the 1 materials"):
        add_optimade(store, optimade_url, mixed, pause=0)
    failures = store.sql("SELECT item, error FROM failures").to_pylist()
    assert failures == [{"item": "exmpl-disorder", "error": "DisorderError"}]
    add_optimade(store, optimade_url, mixed, pause=0, ordered="nearest")
    assert ids(store) == ["exmpl-disorder~ordered"]


def test_no_match_is_no_error(store: FeatureStore, optimade_url: str) -> None:
    assert add_optimade(store, optimade_url, 'elements HAS "Og"', pause=0).written == 0


def test_bad_filters_and_columns_name_the_way_out(store: FeatureStore, optimade_url: str) -> None:
    with pytest.raises(InvalidInputError, match=r"no OPTIMADE filter: No terminal matches 'T'"):
        add_optimade(store, optimade_url, "elements HAS Te")
    with pytest.raises(UnknownNameError, match="did you mean '_exmpl_delta_e'"):
        add_optimade(store, optimade_url, columns=["_exmpl_deltae=formation_energy_peratom"])
    with pytest.raises(InvalidInputError, match=r"in 'eV/atom', the property mbj_bandgap is in"):
        add_optimade(store, optimade_url, columns=["_exmpl_delta_e=mbj_bandgap"])
    with pytest.raises(UnknownNameError, match="property-registry"):
        add_optimade(store, optimade_url, columns=["_exmpl_delta_e=delta_e"])
    with pytest.raises(InvalidInputError, match="COLUMN=PROPERTY"):
        add_optimade(store, optimade_url, columns=["_exmpl_delta_e"])


def test_a_property_of_ones_own(store: FeatureStore, optimade_url: str) -> None:
    options = {"limit": 2, "pause": 0.0, "from_start": True}
    add_optimade(store, optimade_url, CS, columns=["_exmpl_delta_e=mixing:eV/atom"], **options)
    again = add_optimade(store, optimade_url, CS, columns=["_exmpl_delta_e=mixing"], **options)
    assert again.outcomes[1].present == 2
    rows = store.sql("SELECT DISTINCT property, unit FROM properties").to_pylist()
    assert rows == [{"property": "mixing", "unit": "eV/atom"}]
    with pytest.raises(InvalidInputError, match=r"in 'eV/atom', the property gap is in 'meV'"):
        add_optimade(store, optimade_url, CS, columns=["_exmpl_delta_e=gap:meV"], **options)


def test_the_command(store: FeatureStore, optimade_url: str, capsys: Any) -> None:
    words = ["ingest", "optimade", f"{optimade_url}/v1/", "--filter", CS, "--limit", "3"]
    words += ["--pause", "0", "--prefix", "lab", "--column", COLUMN[0], "--store", store.uri]
    root.main(words, standalone_mode=False)
    assert "materials: 3 written" in capsys.readouterr().out
    assert ids(store) == ["lab-000", "lab-001", "lab-002"]


def test_what_is_no_ordered_crystal_is_refused_by_name(
    store: FeatureStore, quirky: QuirkyServer
) -> None:
    bad = refused()
    data = [*(one for one, _, _ in bad.values()), entry("good")]
    quirky.routes["/v1/structures"] = [reply({"data": data, "links": {}, "meta": meta()})]
    result = add_optimade(store, quirky.base, pause=0)
    assert result.written == 1 and ids(store) == ["quirk-good"]
    failures = result.outcomes[0].failures
    assert failures.keys() == {f"quirk-{kind}" for kind in bad}
    for kind, (_, rule, words) in bad.items():
        failure = failures[f"quirk-{kind}"]
        assert (failure.error, words in failure.message) == (rule, True), failure


BAD = [
    None,
    7,
    [],
    {},
    {"id": None},
    {"id": "a\x1b[2J"},
    {"id": "x" * 300},
    {"id": "b", "type": "references", "attributes": {}},
    {"id": "c", "type": "structures"},
    {"id": "d", "type": "structures", "attributes": {"species": 7}},
    entry("e", species=7),
    entry("f", species=[7]),
    entry("g", species_at_sites=[[], {}]),
    entry("h", structure_features={"a": 1}),
    entry("i", lattice_vectors=[[True] * 3] * 3),
    entry("j", lattice_vectors=[[10**400, 0, 0], [0, 4, 0], [0, 0, 4]]),
    entry("k", cartesian_site_positions=[[1e308] * 3, [-1e308] * 3]),
    entry("l", species=[{"name": "Cs", "chemical_symbols": [[]], "concentration": [1]}]),
    entry("m", species=[{"name": "Cs", "chemical_symbols": ["Cs"], "concentration": [1e400]}]),
    entry("n", species=[{"name": "Cs", "chemical_symbols": 7, "concentration": 7}]),
]


def test_a_bad_entry_is_one_failure(store: FeatureStore, quirky: QuirkyServer) -> None:
    twice = [entry("good"), entry("good", 4.5)]
    page = {"data": [*BAD, *twice], "links": {}, "meta": meta()}
    quirky.routes["/v1/structures"] = [reply(page)]
    result = add_optimade(store, quirky.base, pause=0)
    assert result.written == 1 and ids(store) == ["quirk-good"]
    failures = result.outcomes[0].failures
    assert len(failures) == len(BAD) + 1
    assert failures["quirk-good"].message.endswith("; the first of the two stands")


def test_ids_are_prefixed_once(store: FeatureStore, quirky: QuirkyServer) -> None:
    data = [
        entry("quirk-1", 4.1),
        entry("2", 4.2),
        entry("a b/ü", 4.3),
        entry("3", 4.4) | {"id": 3},
    ]
    quirky.routes["/v1/structures"] = [reply({"data": data, "links": {}, "meta": meta()})]
    add_optimade(store, quirky.base, pause=0)
    assert ids(store) == ["quirk-1", "quirk-2", "quirk-3", "quirk-a b/ü"]


_OF_MONGO = ("_id", "task_id", "relationships", "chemsys")
_ALIASES = {
    "pretty_formula": "chemical_formula_reduced",
    "formula_anonymous": "chemical_formula_anonymous",
}


def test_agrees_with_the_adapter_of_the_optimade_package() -> None:
    """On the package's own test structures: the same crystal, or a refusal that has a reason."""
    data = pytest.importorskip("optimade.server.data")
    from optimade.adapters.structures.pymatgen import get_pymatgen
    from optimade.models import StructureResource

    same = 0
    for kept in data.structures:
        attributes = {name: value for name, value in kept.items() if name not in _OF_MONGO}
        for theirs, name in _ALIASES.items():
            attributes[name] = attributes.pop(theirs)
        resource = StructureResource(id=kept["task_id"], type="structures", attributes=attributes)
        plain = json.loads(resource.model_dump_json())
        try:
            found = read_entry(plain)
        except InvalidStructureError as error:
            assert plain["attributes"]["structure_features"], str(error)
            continue
        crystal, theirs = found.structure, get_pymatgen(resource)
        assert isinstance(crystal, Crystal)
        assert list(crystal.species) == [site.specie.symbol for site in theirs]
        assert crystal.lattice == pytest.approx(theirs.lattice.matrix)
        assert crystal.frac_coords @ crystal.lattice == pytest.approx(theirs.cart_coords, abs=1e-6)
        same += 1
    assert same > 10


def test_a_saved_answer_is_a_structure_file(store: FeatureStore, tmp_path: Any) -> None:
    page = {"data": [entry("1", 4.1), entry("2", 4.2)], "meta": meta(), "links": {}}
    (tmp_path / "page.json").write_text(json.dumps(page))
    lines = [{"x-optimade": {}}, {"type": "info", "id": "structures", "properties": {}}]
    text = "\n".join(map(json.dumps, [*lines, entry("3", 4.3), entry("4", 4.4)]))
    (tmp_path / "all.jsonl").write_text(text)
    result = add_structures(store, [tmp_path / "page.json", tmp_path / "all.jsonl"])
    assert result.written == 4 and not result.failures.num_rows
    assert ids(store) == ["1", "2", "3", "4"]


def test_providers_have_their_common_names() -> None:
    known = providers()
    for names, short in (
        (("mp", "materialsproject"), "mp"),
        (("nomad", "nmd"), "nmd"),
        (("oqmd", "theopenquantummaterialsdatabase"[3:]), "oqmd"),
        (("cod", "crystallographyopendatabase"), "cod"),
        (("alexandria",), "alexandria"),
    ):
        assert {known[name][0] for name in names} == {short}
