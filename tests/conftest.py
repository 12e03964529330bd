"""Fixtures that many tests share."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# There is a test process for each core: further threads of numerical libraries only wait in turn.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Threads that wait actively keep the one that they wait for from its core.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("DGLBACKEND", "pytorch")
# What whoever runs the tests has configured is not theirs.
os.environ["FEATURESTORE_CONFIG"] = ""
# pytest-xdist's processes ignore Ctrl-C, and their children would, too: its tests would never end.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A file is one process's, with all that its tests share: one that takes long must not begin last.
LONGEST = (
    "test_docs.py",
    "test_benchmark.py",
    "test_robocrystallographer.py",
    "test_tags.py",
    "test_words.py",
    "test_report.py",
    "test_index.py",
    "test_extending.py",
    "test_encoder_contracts.py",
    "test_writers.py",
    "test_snapshots.py",
    "test_verify.py",
    "test_robocrys_layer.py",
    "test_ingest_killed.py",
    "test_s3.py",
    "test_store_views.py",
    "test_state_machine.py",
    "test_variant_texts.py",
    "test_tags_exact.py",
    "test_segments.py",
    "test_torture.py",
)


TABLES_ON_S3 = ("materials", "sentences", "models", "runs")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))
    for item in items:
        # Of the contracts: hundreds of items, of everything that the package ships.
        if item.name.partition("[")[0] == "test_memory_is_bounded" or _is_further_table(item):
            item.add_marker(pytest.mark.slow)


def _is_further_table(item: Any) -> bool:
    """Whether it tries on S3 what is tried there with a few tables, and on disk with all."""
    if getattr(item.cls, "__name__", "") != "TestS3Store" or not hasattr(item, "callspec"):
        return False
    return item.callspec.params.get("table", TABLES_ON_S3[0]) not in TABLES_ON_S3


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """The project's shared data; tests that need it are skipped where it is absent."""
    default = Path(__file__).parent.parent.parent / "shared"
    folder = Path(os.environ.get("FEATURESTORE_SHARED", default))
    if not (folder / "data").is_dir():
        pytest.skip(f"no shared data at {folder}; set FEATURESTORE_SHARED")
    return folder


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Numerical libraries in two threads, for what must be the same to the bit nevertheless."""
    import sklearn.ensemble  # noqa: F401 - only a loaded library's threads can be set
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with threadpool_limits(2):
        yield
    torch.set_num_threads(before)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path into which packages are installed."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    yield folder
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(folder)):
            del sys.modules[name]
