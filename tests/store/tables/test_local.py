"""The store in a local folder."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from featurestore.errors import StorageError, StoreNotFoundError
from featurestore.store import FeatureStore
from featurestore.testing.rows import made_up
from featurestore.testing.store import Place, StoreContract


def merge_beyond_the_limit(place: Place, answers: Any) -> None:
    """Merge under a limit on the size of files: the kernel refuses the write, as on a full disk."""
    import resource

    store = place.open()
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    try:
        store.merge("materials", made_up("materials", range(2000, 4000)))
    except StorageError as error:
        answers.put(str(error))


class TestLocalStore(StoreContract):
    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        return Place(str(tmp_path / "a store"))

    def test_a_write_that_the_system_cuts_off(self, place: Place) -> None:
        place.open().merge("materials", made_up("materials", range(10)))
        context = multiprocessing.get_context("spawn")
        answers = context.Queue()
        process = context.Process(target=merge_beyond_the_limit, args=(place, answers))
        process.start()
        message = answers.get(timeout=60)
        process.join()
        assert "cannot write table 'materials'" in message and "free space" in message
        assert place.plain("materials").count_rows() == 10
        assert place.open().merge("materials", made_up("materials", range(12))).written == 2

    def test_what_a_killed_creation_leaves_is_no_table(self, place: Place) -> None:
        (Path(place.uri) / "materials.lance" / "_versions").mkdir(parents=True)
        (Path(place.uri) / "materials.lance" / "data").mkdir()
        (Path(place.uri) / "materials.lance" / "data" / "half.lance").write_bytes(b"half")
        store = place.open()
        assert store.sql("SELECT count(*) AS n FROM materials")["n"].to_pylist() == [0]
        assert store.merge("materials", made_up("materials", range(3))).written == 3
        assert place.plain("materials").count_rows() == 3

    def test_a_file_is_no_store(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("text")
        for create in (True, False):
            with pytest.raises(StoreNotFoundError, match=r"/file is a file"):
                FeatureStore.open(tmp_path / "file", create=create)

    def test_a_folder_with_other_files_is_no_store(self, tmp_path: Path) -> None:
        (tmp_path / "thesis.tex").write_text("text")
        for create in (True, False):
            with pytest.raises(StoreNotFoundError, match="other files"):
                FeatureStore.open(tmp_path, create=create)
        assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]

    def test_an_empty_folder_can_become_a_store(self, tmp_path: Path) -> None:
        with pytest.raises(StoreNotFoundError, match=f"no store at {tmp_path}"):
            FeatureStore.open(tmp_path)
        assert FeatureStore.open(tmp_path, create=True).tables() == []

    def test_a_place_below_a_file_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("text")
        store = FeatureStore.open(tmp_path / "file" / "store", create=True)
        with pytest.raises(StorageError, match=r"file/store"):
            store.merge("materials", made_up("materials", range(1)))

    def test_home_is_expanded(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        assert FeatureStore.open("~/store", create=True).uri == str(tmp_path / "store")

    def test_a_damaged_table_is_named(self, place: Place) -> None:
        place.open().merge("materials", made_up("materials", range(3)))
        for manifest in (Path(place.uri) / "materials.lance" / "_versions").iterdir():
            manifest.write_bytes(b"nonsense")
        with pytest.raises(StorageError, match="cannot read table 'materials'"):
            place.open().sql("SELECT 1")
