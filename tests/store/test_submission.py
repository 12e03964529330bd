"""Folders for the Hub and what would be sent: complete, checked, and nothing leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import synthetic_store as toy
import yaml
from click.testing import CliRunner

from featurestore.cli.root import root
from featurestore.errors import InvalidInputError
from featurestore.export.folder import export_view
from featurestore.export.source_terms import licence_of
from featurestore.export.submission import submission
from featurestore.views.request import ViewRequest


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    store = toy.make_store(folder / "store", 20)
    request = ViewRequest(toy.PROPERTY, **toy.view_request("structure+text"))
    export_view(store, request, folder / "gaps", "hub")
    return folder / "gaps"


def front_matter(folder: Path) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load((folder / "README.md").read_text().split("---\n")[1])
    return found


def test_the_front_matter_names_files_that_are_there(exported: Path):
    found = front_matter(exported)
    assert (found["license"], found["size_categories"]) == ("unknown", ["n<1K"])
    [config] = found["configs"]  # type: ignore[misc]
    rows = {one["split"]: pq.read_table(exported / one["path"]) for one in config["data_files"]}
    assert {name: len(table) for name, table in rows.items()} == {
        "train": 12,
        "validation": 4,
        "test": 4,
    }
    assert set(rows["test"]["fold"].to_pylist()) == {"test"}


def test_datasets_reads_it(exported: Path, tmp_path: Path):
    datasets = pytest.importorskip("datasets")
    found = datasets.load_dataset(str(exported), cache_dir=str(tmp_path))
    assert {name: rows.num_rows for name, rows in found.items()} == {
        "train": 12,
        "validation": 4,
        "test": 4,
    }


def test_licences_are_told_by_the_name_or_not():
    names = ("dft_3d", "jarvis_sample", "mp_formation_energy", "ours")
    assert [licence_of(name) for name in names] == ["other", "other", "cc-by-4.0", "unknown"]


def test_what_would_be_sent_is_every_file_with_its_checksum(exported: Path):
    found = submission(exported, "hub", repository="lab/gaps")
    names = {path.relative_to(exported).as_posix() for path in exported.rglob("*.*")}
    assert {file["name"] for file in found["files"]} == names and len(names) == 4
    assert found["bytes"] == sum((exported / name).stat().st_size for name in names)
    assert "lab/gaps" in found["command"]
    record = submission(exported, "zenodo", creators=["Curie, Marie"])["metadata"]
    assert record["creators"] == [{"name": "Curie, Marie"}]
    assert record["description"].startswith("20 materials with their mbj")
    assert toy.PROPERTY.replace("_", "") in record["title"].replace("\\_", "").replace("_", "")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (".env", "x", "is hidden"),
        ("link", None, "is a link"),
        (
            "notes.md",
            "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "credential",
        ),
    ],
)
def test_what_must_not_leave_is_named(tmp_path: Path, name: str, content, said: str):
    (tmp_path / "README.md").write_text("---\na: b\n---\n\n# T\n\nText.\n")
    if content is None:
        (tmp_path / name).symlink_to(tmp_path / "README.md")
    else:
        (tmp_path / name).write_text(content)
    with pytest.raises(InvalidInputError, match=said):
        submission(tmp_path, "hub", repository="a/b")


def test_what_a_place_needs_is_asked_for(tmp_path: Path):
    with pytest.raises(InvalidInputError, match="has no README"):
        submission(tmp_path, "hub", repository="a/b")
    (tmp_path / "README.md").write_text("# T\n")
    with pytest.raises(InvalidInputError, match="OWNER/NAME"):
        submission(tmp_path, "hub", repository="ab")
    with pytest.raises(InvalidInputError, match="--format hub"):
        submission(tmp_path, "hub", repository="a/b")
    with pytest.raises(InvalidInputError, match="creators"):
        submission(tmp_path, "zenodo")


def test_the_command_sends_nothing(exported: Path):
    arguments = ["publish", str(exported), "--to", "hub", "--repository", "lab/gaps"]
    refused = CliRunner().invoke(root, arguments)
    assert refused.exit_code == 2 and "uploads nothing" in refused.output
    shown = CliRunner().invoke(root, [*arguments, "--dry-run"]).output
    assert "data/train.parquet" in shown
    found = json.loads(
        CliRunner().invoke(root, [*arguments, "--dry-run", "--format", "json"]).output
    )
    assert found["repository"] == "lab/gaps"
