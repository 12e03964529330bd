"""A damaged or hostile row shuts nothing: it is left out and named, found, and moved aside."""

from __future__ import annotations

import io
import json
import shutil
import warnings
from datetime import UTC, datetime
from pathlib import Path

import lance
import pyarrow as pa
import pytest
from click.testing import CliRunner
from tiers import few
from whole_store import PROPERTY, SPLIT, STRUCTURE_TABLE, make_whole_store, view_choices

from featurestore.catalogue import encoders
from featurestore.cli import root
from featurestore.errors import (
    DamagedRowsWarning,
    FeatureStoreError,
    InvalidInputError,
    InvalidRowsError,
    MissingRowsWarning,
)
from featurestore.feature_sets import find_feature_set
from featurestore.history.snapshots import list_snapshots
from featurestore.output.rows import print_table
from featurestore.store import FeatureStore
from featurestore.summary import summarise
from featurestore.tables.schemas import TABLES
from featurestore.upkeep.quarantine import QUARANTINE
from featurestore.upkeep.verify import mend, verify
from featurestore.vectors import Vectors
from featurestore.views.define import define_feature_set
from train.models import stored_models

DEEP = "[" * 100_000 + "]" * 100_000
BROKEN_JSON = ("", "{", "null", "[]", "7", '"a"', '{"a": NaN}', '{"a": 1e999}', DEEP, '{"a":' * 70)
HOSTILE = "x'; DROP VIEW materials; --\x1b[2J\u202e"
VIEW = {
    **{"property": PROPERTY, "property_source": "toy", "unit": "eV", "variant": "full"},
    **{"generator_id": None, "structure_encoder": None, "text_encoder": None, "split": None},
    "features": "combined",
}
HOSTILE_VIEWS = [
    json.dumps(VIEW | changed)
    for changed in (
        {"inputs": ["x; DROP VIEW materials"]},
        {"inputs": ["x) s1 ON true; SELECT 1 --"]},
        {"inputs": ["ok_encoder:x'; DROP VIEW materials --"]},
        {"inputs": "sql:1"},
        {"inputs": [7]},
        {"inputs": [None]},
        {"inputs": None},
        {"where": 7},
        {"where": ["true"]},
        {"where_sources": {"a": "b"}},
        {"where_sources": [["a"]]},
        {"where_sources": [["a", None]]},
        {"feature_set": []},
        {"split": 7},
        {"structure_encoder": "x; DROP"},
        {"unheard": 1},
    )
] + [json.dumps({name: value for name, value in VIEW.items() if name != "split"})]
# Table, column, value: each makes one row one that cannot be used.
UNSOUND = [
    *(("runs", "host", text) for text in BROKEN_JSON if text != '{"a": 1e999}'),
    *(("runs", "arguments", text) for text in ("{", DEEP)),
    ("runs", "versions", "no JSON"),
    ("runs", "counts", "{]"),
    ("runs", "tables", "7"),
    ("runs", "status", HOSTILE),
    ("encoders", "kind", HOSTILE),
    ("encoders", "kind", ""),
    ("encoders", "encoder_id", HOSTILE),
    ("encoders", "encoder_id", ""),
    ("encoders", "encoder_id", "a" * 5000),
    ("encoders", "name", ""),
    *(("encoders", "dimension", number) for number in (-1, 0, 2**31 - 1)),
    *(("encoders", "fingerprint", text) for text in BROKEN_JSON if text != '{"a": 1e999}'),
    ("encoders", "segments", [{"name": "a", "start": -1, "stop": 2}]),
    ("encoders", "segments", [{"name": "a", "start": 2, "stop": 1}]),
    ("encoders", "segments", [{"name": "a", "start": 0, "stop": 99}]),
    ("generators", "generator_id", HOSTILE),
    ("generators", "fingerprint", "{"),
    ("generators", "source", ""),
    *(("models", "metrics", text) for text in ("", "{}", "{", DEEP, '{"folds": 7, "epochs": 1}')),
    *(("models", "view_parameters", text) for text in ("", "{}", "[]", DEEP)),
    ("models", "view_parameters", '{"property": "a", "structure_encoder": "x; DROP"}'),
    ("models", "settings", "{"),
    ("models", "inputs", ["x; DROP VIEW materials"]),
    ("models", "feature_set", ""),
    ("models", "view_where", ""),
    *(("models", "view_parameters", text) for text in HOSTILE_VIEWS),
    *(("feature_sets", "features", names) for names in ([], [HOSTILE], ["property:a"], ["sql:"])),
    ("feature_sets", "features", ["sql:1", "sql:1"]),
    ("feature_sets", "written", []),
    ("feature_sets", "version", 0),
    ("feature_sets", "fingerprint", ""),
    ("standings", "standing", HOSTILE),
    *(
        ("split_versions", "rule", text)
        for text in (
            *(HOSTILE, "{}", '{"way": 7}', '{"way": "random", "parts": "8/1/1"}'),
            *('{"way": "random", "parts": 8, "seed": 0}', '{"way": "random", "seed": 0}'),
            '{"way": "folds", "of": "cv", "folds": 3, "fold": 3, "seed": 0}',
        )
    ),
    ("split_versions", "version", 0),
    ("property_rules", "version", 0),
    ("property_rules", "way", HOSTILE),
    ("property_rules", "rule", ""),
    ("property_rules", "tolerance", -1.0),
    *(("property_rules", "sources", names) for names in ([], ["a", "a"], [""])),
    ("snapshots", "versions", [{"table": "materials", "version": -1, "rows": 1}]),
]
# These are found, although nothing that reads the store minds them.
IMPOSSIBLE = [
    ("materials", "n_atoms", -5),
    ("materials", "volume", -1.0),
    ("materials", "volume", float("nan")),
    ("materials", "space_group_number", 231),
    ("materials", "frac_coords", [float("inf")] * 6),
    ("properties", "value", float("-inf")),
    ("splits", "fold", HOSTILE),
    ("sentences", "position", -1),
    ("predictions", "fold", "other"),
    ("predictions", "prediction", float("nan")),
    ("predictions", "probabilities", [0.5, float("nan")]),
    ("predictions", "probabilities", [-0.5, 1.5]),
    ("predictions", "probabilities", [0.25, 0.25]),
]
COMMANDS = (
    ["info"],
    ["sql", "SELECT count(*) FROM materials"],
    ["sql", "FROM runs"],
    ["search", "like", "toy-001"],
    ["view", PROPERTY, "--structure-encoder", "toy-graph", "--split", "toy"],
    ["train", "list"],
    ["coverage"],
    ["snapshot", "list"],
    ["encoders", "list"],
    ["verify"],
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damage") / "store"
    store = make_whole_store(folder)
    define_feature_set(store, "both", ["toy-graph", "sql:n_atoms"])
    store.create_snapshot("before")
    from featurestore.upkeep.standing import promote

    with store.session() as session:
        encoder_id = session.query("SELECT min(encoder_id) AS a FROM encoders")["a"][0].as_py()
    with store.run("encoders promote", {}) as run:
        promote(store, encoder_id, "it is", run)
    with store.run("ingest splits", {}) as run:
        version = {
            **{"split": SPLIT, "property": PROPERTY, "version": 1, "materials": 20},
            **{"rule": '{"way": "given"}', "created_at": datetime.now(UTC), "run_id": run.run_id},
        }
        store.merge_rows("split_versions", [version])
        rule = {
            **{"property": "other", "version": 1, "way": "prefer", "sources": ["toy"]},
            **{"tolerance": 0.0, "rule": 'prefer ["toy"]', "created_at": datetime.now(UTC)},
            "run_id": run.run_id,
        }
        store.merge_rows("property_rules", [rule])
    return folder


@pytest.fixture
def store(sound: Path, tmp_path: Path) -> FeatureStore:
    shutil.copytree(sound, tmp_path / "store")
    return FeatureStore.open(tmp_path / "store")


def add_row(
    store: FeatureStore, table: str, column: str, value: object, suffix: str = "_copy"
) -> dict[str, object]:
    """A copy of the first row with another key, and ``value`` in a column, beside all checks."""
    uri = f"{store.uri}/{table}.lance"
    rows = lance.dataset(uri).to_table()
    row = rows.slice(0, 1).to_pylist()[0]
    key = TABLES[table].key[0]
    row[key] = f"{row[key]}{suffix}"
    row[column] = value
    lance.write_dataset(pa.Table.from_pylist([row], schema=rows.schema), uri, mode="append")
    return {name: row[name] for name in TABLES[table].key}


def run_all(store: FeatureStore) -> None:
    """Every command ends without a traceback; those that only look succeed."""
    for command in COMMANDS:
        done = CliRunner().invoke(root, [*command, "--store", store.uri])
        assert done.exception is None or isinstance(
            done.exception, SystemExit | FeatureStoreError
        ), (
            command,
            done.exception,
        )
        if command[0] in ("info", "sql", "train", "view", "coverage"):
            assert done.exit_code == 0, (command, done.output, done.exception)


def look(store: FeatureStore) -> None:
    """What the commands do, in one session."""
    with store.session() as session:
        summarise(session)
        stored_models(session)
        assert session.query("SELECT count(*) AS n FROM materials")["n"][0].as_py() >= 20
        for name in ("runs", "encoders", "models"):
            with io.StringIO() as stream:
                print_table(session.read_only_query(f"FROM {name}"), "table", stream)
    list_snapshots(store._tables)


@pytest.mark.slow
def test_every_command_on_a_store_with_all_of_them(store):
    fingerprint = store.training_view(PROPERTY, **view_choices()).fingerprint
    for number, (table, column, value) in enumerate((*UNSOUND, *IMPOSSIBLE[:2])):
        add_row(store, table, column, value, f"_{number}")
    run_all(store)
    assert store.training_view(PROPERTY, **view_choices()).fingerprint == fingerprint
    mend(store, [finding for finding in verify(store) if finding.wrong])
    assert [finding for finding in verify(store) if finding.wrong] == []
    assert store.training_view(PROPERTY, **view_choices()).fingerprint == fingerprint


@pytest.mark.parametrize("table", few(sorted({table for table, _, _ in UNSOUND}), 1))
def test_unsound_rows(store, table):
    """All of a table at once: each is found by its own key, kept as it was, and nothing else is."""
    uri = f"{store.uri}/{table}.lance"
    before = lance.dataset(uri).count_rows()
    added = []
    for number, (_, column, value) in enumerate(row for row in UNSOUND if row[0] == table):
        key = add_row(store, table, column, value, f"_{number}")
        added.append((key, column, value))
    look(store)
    found = [finding for finding in verify(store) if finding.wrong]
    keys = [k for f in found if f.table == table and f.rows is not None for k in f.rows.to_pylist()]
    assert [key for key, _, _ in added if key not in keys] == []
    mend(store, found)
    left = lance.dataset(uri).count_rows()
    assert left == before + (table == "runs")  # the mending's own run is there
    assert [finding for finding in verify(store) if finding.wrong] == []
    kept = []
    for row in lance.dataset(f"{store.uri}/{QUARANTINE}.lance").to_table().to_pylist():
        assert row["table"] == table
        assert json.loads(row["key"]).keys() == set(TABLES[table].key)
        kept += pa.ipc.open_stream(row["content"]).read_all().to_pylist()
    assert len(kept) == len(added)
    for key, column, value in added:
        [content] = [row for row in kept if all(row[name] == part for name, part in key.items())]
        assert content[column] == value


@pytest.mark.parametrize("table", few(sorted({table for table, _, _ in IMPOSSIBLE}), 1))
def test_impossible_values(store, table):
    added = [
        add_row(store, table, column, value, f"_{number}")
        for number, (_, column, value) in enumerate(row for row in IMPOSSIBLE if row[0] == table)
    ]
    look(store)
    found = [finding for finding in verify(store) if finding.wrong]
    assert any(finding.table == table for finding in found), found
    mend(store, found)
    assert [finding for finding in verify(store) if finding.wrong] == []
    assert lance.dataset(f"{store.uri}/{QUARANTINE}.lance").count_rows() >= len(added)


@pytest.mark.parametrize(
    "table",
    [
        *("encoders", "generators", "feature_sets", "models", "property_rules"),
        *("split_versions", "standings"),
    ],
)
def test_what_is_left_out_is_named(store, table):
    column, value = {
        "encoders": ("kind", "{"),
        "feature_sets": ("written", []),
        "models": ("settings", "{"),
        "property_rules": ("way", "{"),
        "split_versions": ("rule", "{"),
        "standings": ("standing", "{"),
    }.get(table, ("fingerprint", "{"))
    add_row(store, table, column, value)
    with pytest.warns(DamagedRowsWarning, match=rf"1 damaged rows of {table}.*_copy"):
        store.sql("SELECT 1")
    with store.session() as session:
        [(key, _)] = session.damaged[table]
    assert str(next(iter(key.values()))).endswith("_copy")


def test_a_damaged_newest_version_is_not_replaced_in_silence(store):
    uri = f"{store.uri}/feature_sets.lance"
    rows = lance.dataset(uri).to_table()
    row = rows.to_pylist()[0] | {"version": 2, "features": [HOSTILE]}
    lance.write_dataset(pa.Table.from_pylist([row], schema=rows.schema), uri, mode="append")
    with warnings.catch_warnings(action="ignore"):
        with store.session() as session:
            with pytest.raises(InvalidInputError, match="version 2 of feature set 'both' is dam"):
                find_feature_set(session, "both")
            assert find_feature_set(session, "both@1").features[1] == "sql:n_atoms"
        new, is_new = define_feature_set(store, "both", ["toy-graph", "sql:n_atoms"])
    assert is_new and str(new) == "both@3"


def test_features_under_another_fingerprint_are_found(store):
    add_row(store, "feature_sets", "features", ["sql:n_atoms + 1"])
    [found] = [finding for finding in verify(store) if finding.wrong]
    assert found.table == "feature_sets" and "both_copy@1" in found.problem


def test_a_row_without_a_vector(store):
    """It moves no other vector to a wrong row: whoever reads it, is told of it."""
    uri = f"{store.uri}/{STRUCTURE_TABLE}.lance"
    before = lance.dataset(uri).to_table()
    field = before.schema.field("vector").with_nullable(True)
    place = before.column_names.index("vector")
    cells = [None, *before["vector"].to_pylist()[1:]]
    changed = before.set_column(place, field, pa.array(cells, field.type))
    lance.write_dataset(changed, uri, mode="overwrite")
    lost = before["structure_id"][0].as_py()
    with store.session() as session:
        [encoder] = encoders(session, "structure")
        stored = Vectors.of(session, encoder)
        assert stored.nulls == [lost]
        for reading in (
            lambda: stored.read(stored.ids),
            lambda: stored.one(lost),
            lambda: list(stored.batches()),
        ):
            with pytest.raises(InvalidRowsError, match=f"rows without a vector.*{lost}"):
                reading()
        [(ids, vectors)] = stored.batches(without_nulls=True)
        assert ids.to_pylist() == before["structure_id"].to_pylist()[1:]
        assert vectors.tolist() == before["vector"].to_pylist()[1:]
    with pytest.raises(InvalidRowsError, match="rows without a vector"):
        _ = store.search.space(encoder.name).exact
    found = [finding for finding in verify(store) if finding.wrong]
    assert any("null" in finding.problem and lost in finding.problem for finding in found)
    mend(store, found)
    assert lance.dataset(uri).count_rows() == before.num_rows - 1


def test_a_sound_store_warns_of_nothing(store):
    with warnings.catch_warnings(action="error"):
        store.sql("SELECT 1")
    assert [finding for finding in verify(store) if finding.wrong] == []


@pytest.mark.parametrize("table", few(["materials", "encoders", "runs", "models", STRUCTURE_TABLE]))
def test_a_table_of_another_form_is_left_out(store, table):
    uri = f"{store.uri}/{table}.lance"
    key = lance.dataset(uri).schema.names[0]
    lance.write_dataset(pa.table({key: [1, 2]}), uri, mode="overwrite")
    with pytest.warns(DamagedRowsWarning, match=f"table {table} is left out"):
        assert store.sql("SELECT 1 AS a")["a"].to_pylist() == [1]
    for command in COMMANDS[:2]:
        assert CliRunner().invoke(root, [*command, "--store", store.uri]).exit_code == 0
    assert any(f.wrong and f.table == table for f in verify(store))


@pytest.mark.parametrize("what", ["newest manifest", "all files", "folder"])
@pytest.mark.parametrize("snapshot", [True, False])
def test_what_was_there_once_is_missed(store, what, snapshot):
    folder = Path(store.uri) / "materials.lance"
    if not snapshot:
        shutil.rmtree(Path(store.uri) / "snapshots.lance")
    if what == "newest manifest":
        manifests = sorted((folder / "_versions").glob("*.manifest"))
        newest = lance.dataset(str(folder)).version
        for manifest in manifests:
            number = int(manifest.stem)
            if newest in (number, 2**64 - 1 - number):
                manifest.unlink()
    else:
        shutil.rmtree(folder)
        if what == "all files":
            folder.mkdir()
    with pytest.warns(MissingRowsWarning, match="table materials"):
        store.sql("SELECT 1")
    assert any(f.wrong and "materials" in f.problem for f in verify(store))


def test_a_writer_beside_a_session_is_no_loss(store, monkeypatch):
    """The record of runs is opened after the tables, and may know of later versions."""
    from featurestore.tables import presence

    plain = presence._recorded
    monkeypatch.setattr(
        presence, "_recorded", lambda found: {n: (v, by) for n, (v, by) in plain(found).items()}
    )
    with store.session() as session:
        older = {name: version - 1 for name, version in session.versions.items()}
        tables, datasets = store._tables, session._datasets
        assert presence.losses(tables, older, datasets) == []


def test_every_removal_is_kept_byte_for_byte(store):
    before = lance.dataset(f"{store.uri}/{STRUCTURE_TABLE}.lance").to_table()
    rows = before.slice(3, 1).to_pylist()[0] | {"vector": [float("nan"), 1.0, 2.0, 3.0]}
    rows["structure_id"] = "it's \x00 \u202e"
    uri = f"{store.uri}/{STRUCTURE_TABLE}.lance"
    lance.write_dataset(pa.Table.from_pylist([rows], schema=before.schema), uri, mode="append")
    mend(store, [finding for finding in verify(store) if finding.wrong])
    assert lance.dataset(uri).count_rows() == before.num_rows
    [kept] = lance.dataset(f"{store.uri}/{QUARANTINE}.lance").to_table().to_pylist()
    row = pa.ipc.open_stream(kept["content"]).read_all()
    assert row.schema.equals(before.schema) and row["structure_id"].to_pylist() == [
        "it's \x00 \u202e"
    ]
    assert row["vector"].to_pylist()[0][1:] == [1.0, 2.0, 3.0]
