"""A store with two spaces that say the same, and a tiny BERT."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_bert import write_tiny_bert
from told_store import make_told_store


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bert(tmp_path_factory.mktemp("weights") / "tiny")


@pytest.fixture(scope="session")
def told_original(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    folder = tmp_path_factory.mktemp("told") / "store"
    make_told_store(folder, tiny_folder)
    return folder
