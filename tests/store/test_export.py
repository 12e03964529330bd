"""Exported views hold the view's own values, bit by bit, with a card, whole or not at all."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import synthetic_store as toy
from click.testing import CliRunner, Result

from featurestore.cli.root import root
from featurestore.errors import InvalidInputError, MissingDataError, StorageError
from featurestore.export.folder import FORMATS, export_view
from featurestore.export.source_terms import terms_of
from featurestore.store import FeatureStore
from featurestore.views.request import ViewRequest

BOTH = ViewRequest(toy.PROPERTY, **toy.view_request("structure+text"))
UNSPLIT = ViewRequest(toy.PROPERTY, "structure", structure_encoder="toy-graph")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    store = toy.make_store(tmp_path_factory.mktemp("export") / "store", 20, with_text=17)
    now = datetime.now(UTC)
    given = {"sources": ["/home/someone/dft_3d.json"]}
    given["source_sha256"] = {"/home/someone/dft_3d.json": "abc123"}
    run = {"run_id": "toy-run", "command": "ingest structures", "arguments": json.dumps(given)}
    run |= {"versions": "{}", "status": "ok", "pid": 1, "started_at": now, "ended_at": now}
    store.merge_rows("runs", [run | dict.fromkeys(("git_commit", "counts", "message", "host"))])
    return store


def test_parquet(store, tmp_path):
    view = export_view(store, BOTH, tmp_path / "out", "parquet")
    table = pq.read_table(tmp_path / "out" / "data.parquet")
    assert table.replace_schema_metadata().equals(view.table)
    assert table.schema.metadata[b"fingerprint"].decode() == view.fingerprint


def test_csv_has_a_column_for_each_element_and_loses_no_bit(store, tmp_path):
    view = export_view(store, BOTH, tmp_path / "out", "csv")
    table = pa.csv.read_csv(tmp_path / "out" / "data.csv")
    names = [f"structure.all_{i}" for i in range(4)] + [f"text.all_{i}" for i in range(3)]
    assert table.column_names == [*view.rows.column_names, *names]
    read = np.column_stack([table[name].to_numpy() for name in names])
    np.testing.assert_array_equal(read.astype(np.float32), view.features)
    np.testing.assert_array_equal(table["target"].to_numpy(), view.targets)
    assert table["material_id"].to_pylist() == view.material_ids


def test_npy(store, tmp_path):
    view = export_view(store, BOTH, tmp_path / "out", "npy")
    arrays = np.load(tmp_path / "out" / "data.npz", allow_pickle=False)
    np.testing.assert_array_equal(arrays["structure_vector"], view.features[:, :4])
    np.testing.assert_array_equal(arrays["text_vector"], view.features[:, 4:])
    np.testing.assert_array_equal(arrays["target"], view.targets)


def test_datasets_reads_the_folder(store, tmp_path):
    datasets = pytest.importorskip("datasets")
    view = export_view(store, BOTH, tmp_path / "out", "datasets")
    data = datasets.load_from_disk(str(tmp_path / "out"))
    assert list(data) == ["train", "val", "test"]
    for fold, split in data.items():
        rows = np.flatnonzero(view.in_fold(fold))
        assert split["material_id"][:] == [view.material_ids[row] for row in rows]
        arrays = split.with_format("numpy")
        np.testing.assert_array_equal(arrays["structure_vector"][:], view.features[rows, :4])
        np.testing.assert_array_equal(arrays["text_vector"][:], view.features[rows, 4:])
        np.testing.assert_array_equal(arrays["target"][:], view.targets[rows])
        assert split.features["structure_vector"].length == 4
    # The library itself can go on from there.
    data["train"].map(lambda row: {"twice": 2 * row["target"]}).save_to_disk(
        str(tmp_path / "again")
    )


def test_datasets_without_folds_is_one_data_set(store, tmp_path):
    datasets = pytest.importorskip("datasets")
    view = export_view(store, UNSPLIT, tmp_path / "out", "datasets")
    data = datasets.load_from_disk(str(tmp_path / "out"))
    assert data["material_id"][:] == view.material_ids
    assert set(data["fold"][:]) == {None}


def test_torch(store, tmp_path):
    from safetensors import safe_open
    from safetensors.numpy import load_file

    view = export_view(store, BOTH, tmp_path / "out", "torch")
    path = tmp_path / "out" / "data.safetensors"
    tensors = load_file(path)
    assert set(tensors) == {
        f"{f}.{x}" for f in ("train", "val", "test") for x in ("features", "targets")
    }
    with safe_open(path, "np") as file:
        about = json.loads(file.metadata()["view"])
    assert about["fingerprint"] == view.fingerprint and about["unit"] == "eV"
    for fold in ("train", "val", "test"):
        rows = np.flatnonzero(view.in_fold(fold))
        np.testing.assert_array_equal(tensors[f"{fold}.features"], view.features[rows])
        np.testing.assert_array_equal(tensors[f"{fold}.targets"], view.targets[rows].astype("f4"))
        assert about[f"{fold}.material_ids"] == [view.material_ids[row] for row in rows]
    export_view(store, UNSPLIT, tmp_path / "all", "torch")
    assert set(load_file(tmp_path / "all" / "data.safetensors")) == {"features", "targets"}


@pytest.mark.parametrize("output_format", FORMATS)
def test_every_format_has_a_card(store, tmp_path, output_format):
    view = export_view(store, BOTH, tmp_path / "out", output_format)
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    for part in (
        "17 materials with their mbj_bandgap (eV, source toy)",
        "split `toy`: 11 train, 3 val, 3 test",
        "left out: 3 materials with a target but without a text",
        "read from `dft_3d.json` (SHA-256 abc123)",
        "17 materials of data set `toy`",
        f"texts: `{view.parameters.generator_id}`, variant `full`",
        f"### {toy.STRUCTURE_ENCODER}",
        f"### {toy.TEXT_ENCODER}",
        "| features 4:7 | text.all, float32 |",
        f"view fingerprint: `{view.fingerprint}`",
        view.sql,
        "its licence and citation are not known here",
    ):
        assert part in card, part
    assert "/home/someone" not in card


@pytest.mark.slow
def test_the_usage_that_the_card_shows_runs(store, tmp_path, monkeypatch):
    pytest.importorskip("datasets")
    for output_format in FORMATS:
        export_view(store, BOTH, tmp_path / output_format, output_format)
        monkeypatch.chdir(tmp_path / output_format)
        usage = Path("README.md").read_text("utf-8").split("```python\n")[1].split("```")[0]
        exec(compile(usage, output_format, "exec"), {})


@pytest.mark.slow
def test_the_same_view_gives_the_same_files(store, tmp_path):
    for output_format in FORMATS:
        contents = []
        for name in ("a", "b"):
            place = tmp_path / f"{output_format}-{name}"
            export_view(store, BOTH, place, output_format)
            files = sorted(path for path in place.rglob("*") if path.is_file())
            contents.append({str(path.relative_to(place)): path.read_bytes() for path in files})
        if output_format == "npy":  # a zip file keeps the time
            for content in contents:
                del content["data.npz"]
        assert contents[0] == contents[1]


def test_nothing_is_overwritten_and_failures_leave_nothing(store, tmp_path, monkeypatch):
    place = tmp_path / "out"
    place.mkdir()
    with pytest.raises(InvalidInputError, match="exists already"):
        export_view(store, BOTH, place, "parquet")
    assert list(place.iterdir()) == []
    place.rmdir()
    with pytest.raises(InvalidInputError, match="format must be one of"):
        export_view(store, BOTH, place, "xlsx")
    with pytest.raises(MissingDataError):
        export_view(store, ViewRequest(**{**vars(BOTH), "variant": "only:other"}), place, "csv")
    assert list(tmp_path.iterdir()) == []

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("featurestore.export.folder.render_card", full)
    with pytest.raises(StorageError, match="No space left"):
        export_view(store, BOTH, place, "parquet")
    assert list(tmp_path.iterdir()) == []
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(StorageError, match="cannot write"):
        export_view(store, BOTH, file / "out", "parquet")


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("jdft_3d_subset", "NIST"),
        ("dft_3d", "NIST"),
        ("jarvis_sample", "NIST"),
        ("mp_formation_energy", "CC BY 4.0"),
        ("megnet", "CC BY 4.0"),
        ("samples", "not known"),
        ("my-cifs", "not known"),
    ],
)
def test_terms(name, part):
    assert part in terms_of(name) and f"`{name}`" in terms_of(name)


def test_the_command(store, tmp_path):
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(root, ["export", *arguments, "--store", store.uri])

    common = (toy.PROPERTY, "--structure-encoder", "toy-graph", "--split", toy.SPLIT)
    done = run(*common, "--format", "torch", "-o", str(tmp_path / "out"))
    assert done.exit_code == 0 and "20 rows written to" in done.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "README.md",
        "data.safetensors",
    ]
    assert run(*common).exit_code == 2
    assert run(*common, "--format", "xlsx", "-o", "x").exit_code == 2
    assert run(toy.PROPERTY, "-o", "x").exit_code == 2
