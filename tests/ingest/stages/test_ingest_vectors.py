"""A lab's own vectors: stored like an encoder's, with where they came from, or refused by row."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from made_up_materials import crystal, entry, ingest, rows, write_archive

from featurestore.catalogue import find_encoder
from featurestore.cli.root import root
from featurestore.commands import encoding_command
from featurestore.errors import InvalidInputError
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from ingest.encoders.load import load_like
from ingest.pipeline.outcome import Outcome
from ingest.stages.vectors import ingest_vectors

IDS = ("m4", "m5", "m6")
VECTORS = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    """Four structures, five materials: twin has the structure of m4."""
    store = FeatureStore.open(tmp_path / "store", create=True)
    entries = [entry(f"m{edge}", edge) for edge in (4, 5, 6, 7)]
    ingest(store, write_archive(tmp_path / "a.json", [*entries, entry("twin", 4)]))
    return store


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mine.parquet"


def write(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def read(store: FeatureStore, path: Path, **options: Any) -> Outcome:
    return ingest_vectors(store, path, **{"name": "mine", "run": Run("run")} | options)


def stored(store: FeatureStore) -> dict[str, list[float]]:
    (encoder,) = rows(store, "encoders")
    table = f"structure_embeddings__{encoder['encoder_id']}"
    return {row["structure_id"]: row["vector"] for row in rows(store, table)}


@pytest.mark.parametrize(
    "column",
    [
        VECTORS,
        pa.array(VECTORS, pa.list_(pa.float32(), 2)),
        pa.array(VECTORS, pa.large_list(pa.float16())),
        pa.array([[1, 2], [3, 4], [5, 6]], pa.list_(pa.int8())),
        pa.chunked_array([VECTORS[:1], VECTORS[1:]]),
    ],
)
def test_vectors_are_stored_with_where_they_came_from(store, file, column):
    write(file, material_id=list(IDS), vector=column)
    outcome = read(store, file, trained_on="our oxides", licence="CC0")
    assert (outcome.written, outcome.present, outcome.failures) == (3, 0, {})
    assert f"1 structures of the store have no vector in {file}" in outcome.notes
    assert stored(store) == {
        crystal(edge).structure_id: vector for edge, vector in zip((4, 5, 6), VECTORS, strict=True)
    }
    with store.session() as session:
        encoder = find_encoder(session, "mine", "structure")
    assert encoder.segments == (("vector", 0, 2),)
    assert encoder.fingerprint == {
        "part": "vectors from a file",
        "file_sha256": sha256(file.read_bytes()).hexdigest(),
        "column": "vector",
        "trained_on": "our oxides",
        "licence": "CC0",
    }


def test_a_second_time_changes_nothing_and_another_file_is_another_version(store, file):
    write(file, material_id=list(IDS), vector=VECTORS)
    read(store, file)
    with store.session() as session:
        before = session.versions
    outcome = read(store, file)
    assert (outcome.written, outcome.present) == (0, 3)
    with store.session() as session:
        assert session.versions == before
    write(file, material_id=[*IDS, "m7"], vector=[*VECTORS, [7.0, 8.0]])
    assert read(store, file).written == 4
    assert len(rows(store, "encoders")) == 2


def test_by_structure_and_of_a_named_column(store, file):
    ids = [crystal(edge).structure_id for edge in (4, 5, 6)]
    write(file, structure_id=ids, a=VECTORS, b=[[0.0]] * 3)
    with pytest.raises(InvalidInputError, match="2 columns of lists: a, b; name the column"):
        read(store, file)
    assert read(store, file, column="a").written == 3
    assert stored(store) == dict(zip(ids, VECTORS, strict=True))


def test_materials_of_one_structure_must_agree(store, file):
    write(file, material_id=["m4", "twin"], vector=[[1.0], [1.0]])
    outcome = read(store, file)
    assert outcome.written == 1
    write(file, material_id=["m5", "m4", "twin"], vector=[[0.0], [1.0], [2.0]])
    message = r"m4 \(row 1\) and twin \(row 2\) have one structure and different vectors"
    with pytest.raises(InvalidInputError, match=message):
        read(store, file)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"material_id": ["m4", "x", "y"]}, r"material_id that the store .* rows 1 \(x\), 2 \(y"),
        ({"structure_id": list(IDS)}, r"structure_id that the store does not have in rows 0 \(m4"),
        ({"material_id": ["m4", "m5", "m4"]}, r"an id that an earlier row has in row 2 \(m4\)"),
        ({"material_id": ["m4", None, ""]}, "no id in rows 1, 2"),
        ({"material_id": [4, 5, 6]}, "the ids are of type int64, not text"),
        ({"id": list(IDS)}, r"neither column material_id .* \(its columns: vector, id\)"),
        (
            {"material_id": list(IDS), "structure_id": list(IDS)},
            "both columns material_id and structure_id",
        ),
        ({"vector": [[1.0, 2.0], [1.0], [1.0, 2.0]]}, r"another width .* 2 in row 1 \(m5\)"),
        ({"vector": [[1.0, 2.0], None, [1.0, 2.0]]}, r"no vector in row 1 \(m5\)"),
        ({"vector": [[1.0, 2.0], [1.0, None], [1.0, 2.0]]}, r"null, NaN .* in row 1 \(m5\)"),
        ({"vector": [[1.0, 2.0], [1.0, 2.0], [float("nan"), 0]]}, r"NaN .* in row 2 \(m6\)"),
        ({"vector": [[float("inf"), 0], [1, 2], [1e300, 0]]}, r"rows 0 \(m4\), 2 \(m6\)"),
        ({"vector": pa.array([[], [], []], pa.list_(pa.float32()))}, "the vectors have no values"),
        ({"vector": [["a"], ["b"], ["c"]]}, "the vectors in 'vector' are of string, not numbers"),
        ({"vector": [1.0, 2.0, 3.0]}, "has 0 columns of lists; name the column"),
        (
            {"material_id": pa.array([], pa.string()), "vector": pa.array([], pa.list_(pa.int8()))},
            "has no rows",
        ),
    ],
)
def test_rows_that_cannot_be_used_are_named_and_nothing_is_stored(store, file, columns, message):
    given = {"material_id": list(IDS), "vector": VECTORS} | columns
    if "material_id" not in columns and {"structure_id", "id"} & set(columns):
        del given["material_id"]
    write(file, **given)
    with pytest.raises(InvalidInputError, match=message) as raised:
        read(store, file)
    assert str(file) in str(raised.value)
    assert rows(store, "encoders") == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"column": "other"}, "the column 'other' is not there"),
        ({"column": "material_id"}, "the column 'material_id' is of type string, not of lists"),
        ({"name": "matminer"}, "'matminer' is the name of an encoder or of weights"),
        ({"name": "alignn-ff"}, "'alignn-ff' is the name of an encoder or of weights"),
    ],
)
def test_names_that_cannot_be_used(store, file, options, message):
    write(file, material_id=list(IDS), vector=VECTORS)
    with pytest.raises(InvalidInputError, match=message):
        read(store, file, **options)


def test_files_that_cannot_be_read(store, file):
    with pytest.raises(InvalidInputError, match=r"cannot read .*mine\.parquet as Parquet"):
        read(store, file)
    file.write_text("material_id,vector")
    with pytest.raises(InvalidInputError, match=r"cannot read .*mine\.parquet as Parquet"):
        read(store, file)


def test_there_is_no_encoder_for_anything_new(store, file):
    write(file, material_id=list(IDS), vector=VECTORS)
    read(store, file)
    with store.session() as session:
        encoder = find_encoder(session, "mine", "structure")
    with pytest.raises(InvalidInputError, match=r"came from a file .* add its vectors to the file"):
        load_like(encoder)


def test_the_command_records_the_run_and_the_vectors_are_searched(store, file):
    def run(*arguments: str) -> Any:
        result = CliRunner().invoke(root, [*arguments, "--store", store.uri])
        assert result.exit_code == 0, result.output
        return result

    write(file, material_id=[*IDS, "m7"], vector=[*VECTORS, [1.0, 2.1]])
    result = run("ingest", "vectors", str(file), "--name", "mine", "--trained-on", "our oxides")
    assert "structures with vectors: 4 written, 0 already there, 0 failed" in result.output
    (recorded,) = store.sql(
        "SELECT arguments FROM runs WHERE command = 'ingest vectors'"
    ).to_pylist()
    assert sha256(file.read_bytes()).hexdigest() in recorded["arguments"]
    with store.session() as session:
        hint = encoding_command(session, find_encoder(session, "mine", "structure"))
    assert hint[1:] == (
        *("ingest", "vectors", str(file), "--name", "mine", "--trained-on", "our oxides"),
    )
    assert "0 written, 4 already there" in run(*hint[1:]).output
    found = run("search", "like", "m7", "-k", "1", "--format", "json").stdout
    assert '"m4"' in found or '"twin"' in found
    assert np.allclose(sorted(stored(store).values())[0], [1.0, 2.0])
