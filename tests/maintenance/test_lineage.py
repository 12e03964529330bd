"""Lineage leads from a model, prediction, vector or figure to the files and runs behind it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import lance
import pyarrow as pa
import pytest
from click.testing import CliRunner
from tiers import few
from whole_store import (
    FILE_SHA256,
    GENERATOR,
    PROPERTY,
    STRUCTURE_ENCODER,
    TEXT_ENCODER,
    crystal,
    texts,
)

from featurestore.cli import root
from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.history.lineage import (
    figure_lineage,
    model_lineage,
    prediction_lineage,
    vector_lineage,
)
from featurestore.history.lineage_output import as_json, openlineage_events, tree_lines
from featurestore.history.nodes import Node
from featurestore.identity import text_id
from featurestore.output.figures import figure_models
from featurestore.tables.schemas import embedding_table
from train.analysis.ablation import ablation_rows
from train.analysis.parity import write_parity_plot
from train.models import stored_models


def nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.inputs:
        yield from nodes(child)


def of_kind(node: Node, kind: str) -> list[Node]:
    return [found for found in nodes(node) if found.kind == kind]


@pytest.fixture
def session(store):
    with store.session() as session:
        yield session


@pytest.fixture
def model_id(session) -> str:
    return str(session.query("SELECT model_id FROM models")["model_id"][0].as_py())


def test_a_model_leads_to_its_source_file(session, model_id, store):
    node = model_lineage(session, model_id)
    (view,) = node.inputs
    trained = store.training_view(
        PROPERTY,
        structure_encoder="toy-graph",
        text_source="toytext",
        text_encoder="toy-words",
        split="toy",
    )
    assert view.facts["fingerprint"] == trained.fingerprint
    assert view.facts["sql"] == trained.sql
    assert view.facts["rebuilt"] == "the same, byte for byte"
    assert view.facts["table_versions"]["materials"] == trained.versions["materials"]
    (structures,) = of_kind(node, "structure vectors")
    (words,) = of_kind(node, "text vectors")
    assert structures.facts["encoder_id"] == STRUCTURE_ENCODER
    assert words.facts["encoder_id"] == TEXT_ENCODER
    (sentences,) = of_kind(node, "sentences")
    assert sentences.facts["generator_id"] == GENERATOR
    assert {run.command for run in sentences.runs} == {"ingest text"}
    for file in of_kind(node, "source file"):
        assert file.name == "toy.json" and file.facts["sha256"] == [FILE_SHA256]
    commands = {run.command for found in nodes(node) for run in found.runs}
    assert commands == {
        "ingest structures",
        "ingest splits",
        "ingest text",
        "ingest embeddings",
        "train mlp",
    }


def test_a_view_that_has_changed_since_is_said(store, model_id):
    row = store.sql("FROM properties LIMIT 1").to_pylist()[0]
    store.merge_rows("properties", [row | {"value": row["value"] + 1}], replace=True)
    with store.session() as session:
        (view,) = model_lineage(session, model_id).inputs
    assert view.facts["rebuilt"].startswith("another: ")


def test_a_prediction_leads_to_its_own_vectors(session, model_id):
    node = prediction_lineage(session, model_id, "toy-004")
    stored = session.query(
        "SELECT prediction FROM predictions WHERE material_id = 'toy-004'"
    ).to_pylist()
    assert node.facts["prediction"] == stored[0]["prediction"] and node.facts["fold"] == "test"
    _, structure, text = node.inputs
    assert structure.name == crystal(4).structure_id
    assert text.name == text_id(texts(4)[0])
    assert structure.inputs[0].facts["materials"] == ["toy-004 (NaCl)"]
    with pytest.raises(UnknownNameError, match="toy-004"):
        prediction_lineage(session, model_id, "toy-04")


def test_a_vector_leads_to_its_sentences(session):
    full = vector_lineage(session, text_id(texts(4)[0]))
    assert full.inputs[0].facts["variant"] == "full"
    erased = vector_lineage(session, text_id(texts(4)[1]), "toy-words")
    assert erased.inputs[0].facts["variant"] == "without:bond length"
    structure = vector_lineage(session, crystal(4).structure_id)
    assert structure.facts["encoder_id"] == STRUCTURE_ENCODER
    with pytest.raises(UnknownNameError):
        vector_lineage(session, "0" * 64)


@pytest.mark.parametrize("suffix", few([".png", ".svg", ".pdf"], 1))
def test_a_figure_names_its_models(session, model_id, tmp_path, suffix):
    path = tmp_path / f"parity{suffix}"
    write_parity_plot(session, ablation_rows(session, stored_models(session)), path)
    assert figure_models(path) == [model_id]
    node = figure_lineage(session, path)
    assert [child.name for child in node.inputs] == [model_id]


def test_figures_of_other_programs_say_nothing(tmp_path):
    from matplotlib.figure import Figure

    path = tmp_path / "other.png"
    Figure().savefig(path)
    with pytest.raises(InvalidInputError, match="does not say which models"):
        figure_models(path)
    path.write_bytes(b"GIF89a")
    with pytest.raises(InvalidInputError, match="no PNG"):
        figure_models(path)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\xff\xff\xff\xfftEXtfeaturestore.models\0[")
    with pytest.raises(InvalidInputError, match="damaged"):
        figure_models(path)
    for suffix in (".svg", ".pdf"):
        Figure().savefig(tmp_path / f"other{suffix}")
        with pytest.raises(InvalidInputError, match="does not say which models"):
            figure_models(tmp_path / f"other{suffix}")
    with pytest.raises(InvalidInputError, match="cannot read"):
        figure_models(tmp_path / "none.png")


def test_a_model_is_found_by_the_beginning_of_its_id(session, model_id):
    assert model_lineage(session, model_id[:12]).name == model_id
    with pytest.raises(UnknownNameError, match="train list"):
        model_lineage(session, "nothing")


def test_openlineage_events(session, model_id):
    """The fields that the specification requires, and events that link up through their data."""
    events = openlineage_events(model_lineage(session, model_id), "file:///store")
    assert [event["job"]["name"] for event in events] == [
        "ingest structures",
        "ingest splits",
        "ingest text",
        "ingest embeddings",
        "train mlp",
    ]
    written: set[tuple[str, str]] = set()
    for event in events:
        assert event["eventType"] == "COMPLETE"
        assert datetime.fromisoformat(event["eventTime"]).tzinfo is not None
        uuid.UUID(event["run"]["runId"])
        assert event["schemaURL"].startswith("https://openlineage.io/spec/")
        assert event["producer"].startswith("https://")
        for side in ("inputs", "outputs"):
            for dataset in event[side]:
                assert {"namespace", "name", "facets"} == set(dataset)
                for facet in dataset["facets"].values():
                    assert {"_producer", "_schemaURL"} <= set(facet)
        for facet in event["run"]["facets"].values():
            assert {"_producer", "_schemaURL"} <= set(facet)
        read = {(data["namespace"], data["name"]) for data in event["inputs"]}
        assert read <= written | {("file", "toy.json")}
        written |= {(data["namespace"], data["name"]) for data in event["outputs"]}
    assert "texts('" in events[-1]["job"]["facets"]["sql"]["query"]
    json.dumps(events)


def test_tree_and_json_say_the_same(session, model_id):
    node = model_lineage(session, model_id)
    tree = "\n".join(tree_lines(node))
    assert FILE_SHA256 in tree and model_id in tree and "the same, byte for byte" in tree
    text = json.dumps(as_json(node))
    assert FILE_SHA256 in text and model_id in text


def test_command_line(store, tmp_path, model_id):
    runner = CliRunner()
    events = tmp_path / "events.ndjson"
    done = runner.invoke(
        root, ["lineage", model_id, "--store", store.uri, "--openlineage", str(events)]
    )
    assert done.exit_code == 0 and "training view" in done.output
    assert len([json.loads(line) for line in events.read_text().splitlines()]) == 5
    done = runner.invoke(
        root, ["lineage", model_id, "toy-004", "--store", store.uri, "--format", "json"]
    )
    assert json.loads(done.output)["kind"] == "prediction"


def test_lineage_as_of_a_snapshot(store, model_id):
    store.create_snapshot("trained")
    store.remove(embedding_table("structure", STRUCTURE_ENCODER), "true")

    def rebuilt(*arguments: str) -> str:
        done = CliRunner().invoke(root, ["lineage", model_id, "--store", store.uri, *arguments])
        assert done.exit_code == 0
        return next(line for line in done.output.splitlines() if "rebuilt:" in line)

    assert "cannot be made" in rebuilt()
    assert "the same, byte for byte" in rebuilt("--at", "trained")


def test_the_command_line_records_source_hashes(tmp_path, monkeypatch):
    import hashlib

    from ingest.sample import sample_archive

    store = str(tmp_path / "store")
    assert CliRunner().invoke(root, ["ingest", "sample", "--store", store]).exit_code == 0
    from featurestore.store import FeatureStore

    arguments = FeatureStore.open(store).sql("SELECT arguments FROM runs")["arguments"][0].as_py()
    recorded = json.loads(arguments)["source_sha256"]
    assert list(recorded.values()) == [
        hashlib.sha256(Path(sample_archive()).read_bytes()).hexdigest()
    ]


@pytest.mark.parametrize(
    "sql",
    few(
        [
            "SELECT error('it was run')",
            "COPY (SELECT 1) TO '{out}'",
            "DROP VIEW materials; SELECT 1",
            "FROM read_text('/etc/passwd')",
            "",
            "\x1b[2J",
        ]
    ),
)
def test_stored_sql_is_shown_and_not_run(store, tmp_path, sql):
    sql = sql.format(out=tmp_path / "out")
    uri = f"{store.uri}/models.lance"
    rows = lance.dataset(uri).to_table()
    changed = pa.array([sql] * rows.num_rows, pa.string())
    place = rows.column_names.index("view_sql")
    lance.write_dataset(
        rows.set_column(place, rows.schema.field(place), changed), uri, mode="overwrite"
    )
    with store.session() as session:
        model = session.query("SELECT model_id FROM models")["model_id"][0].as_py()
        for node in (
            model_lineage(session, model).inputs[0],
            prediction_lineage(session, model, "toy-001").inputs[0].inputs[0],
        ):
            assert node.facts["stored_sql"] == sql and node.facts["sql"].startswith("SELECT")
            assert "not run" in node.facts["stored_sql_is"]
            assert node.facts["rebuilt"] == "the same, byte for byte"
    assert not (tmp_path / "out").exists()


def test_a_model_that_has_lost_its_moment_has_a_lineage(store):
    uri = f"{store.uri}/models.lance"
    rows = lance.dataset(uri).to_table()
    place = rows.column_names.index("created_at")
    lost = rows.schema.field(place).with_nullable(True)
    changed = rows.set_column(place, lost, pa.nulls(rows.num_rows, lost.type))
    lance.write_dataset(changed, uri, mode="overwrite")
    with store.session() as session:
        model = session.query("SELECT model_id FROM models")["model_id"][0].as_py()
        assert model_lineage(session, model).facts["created_at"] is None
