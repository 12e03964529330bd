"""``ingest jarvis``: the published archive, from a local server in the place of figshare."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from featurestore import FeatureStore
from featurestore.cli import root
from featurestore.errors import InvalidInputError, UnknownNameError
from ingest.sample import sample_archive
from ingest.structures.download import jarvis_archive


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that is served; jarvis-tools' table points to files in it."""
    folder = tmp_path / "figshare"
    folder.mkdir()
    (folder / "22471022").write_bytes(sample_archive().read_bytes())
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    table = {
        "dft_3d": [f"{address}/22471022", "jdft_3d-12-12-2022.json", "message", "reference"],
        "gone": [f"{address}/nothing", "gone.json", "message", "reference"],
    }
    monkeypatch.setattr("jarvis.db.figshare.get_db_info", lambda: table)
    monkeypatch.setenv("FEATURESTORE_CACHE", str(tmp_path / "cache"))
    yield folder
    server.shutdown()
    server.server_close()


def ingest(store: Path) -> None:
    root.main(["ingest", "jarvis", "--store", str(store)], standalone_mode=False)


def test_it_downloads_once_and_ingests(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ingest(tmp_path / "store")
    assert "70 written, 0 already there" in capsys.readouterr().out
    (published / "22471022").unlink()
    ingest(tmp_path / "store")
    assert "0 written, 70 already there" in capsys.readouterr().out
    rows = FeatureStore.open(tmp_path / "store").sql("SELECT DISTINCT dataset FROM materials")
    assert rows["dataset"].to_pylist() == ["dft_3d"]


def test_a_failed_download_leaves_nothing_and_says_what_to_do(
    published: Path, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInputError, match=r"'gone'.*404.*featurestore ingest structures"):
        jarvis_archive("gone")
    assert not list((tmp_path / "cache" / "jarvis").iterdir())


def test_an_unknown_data_set_suggests_the_nearest(published: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'dft_3d'"):
        jarvis_archive("dft3d")
