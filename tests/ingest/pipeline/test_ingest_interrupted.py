"""Ctrl-C once finishes what is under way and says how far it came; twice stops at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from fake_encoders import FakeEncoder
from made_up_materials import entry, ingest, write_archive

from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from featurestore.tables.schemas import embedding_table
from ingest.pipeline.interruption import stop_on_interrupt
from ingest.stages.embeddings import ingest_structure_embeddings
from ingest.stages.selection import Selection

INGEST_TEXT = """
import sys
import ingest.stages.text as stage
import ingest.text.registry as registry
from fake_generator import fake_part
from featurestore.cli import main
from test_ingest_interrupted import start_slow

stage.text_part = registry.text_part = lambda source: fake_part()
stage._start_worker = start_slow
sys.argv = ["featurestore", "ingest", "text", "--text", "fake", "--store", sys.argv[1]]
if __name__ == "__main__":
    main()
"""
N = 200


def start_slow(*_: object) -> None:
    """A worker's initializer: say so, then describe at leisure."""
    import time

    import fake_generator

    import ingest.stages.text as stage

    class Slow(fake_generator.FakeGenerator):
        def describe(self, crystal):
            time.sleep(0.02)
            return super().describe(crystal)

    stage._worker_generator = fake_generator.fake_part(), Slow()
    print("started", flush=True)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    store = FeatureStore.open(tmp_path / "store", create=True)
    entries = [entry(f"m{number}", 4.0 + number / 100) for number in range(N)]
    ingest(store, write_archive(tmp_path / "a.json", entries))
    return store


def test_the_first_ctrl_c_writes_what_is_under_way(store, tmp_path):
    script = tmp_path / "slow_text.py"
    script.write_text(INGEST_TEXT)
    command = [sys.executable, str(script), store.uri]
    here = ":".join(str(Path(__file__).parents[up]) for up in (0, 1, 3))
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": here},
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    # As a terminal does: to the whole group, the workers included.
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Stopping: what is under way is finished and written" in err
    described = store.sql("SELECT count(DISTINCT structure_id) AS n FROM sentences")["n"][0].as_py()
    assert 0 < described < N
    assert f"Interrupted after {described} of {N} structures done." in err
    assert "the same command goes on from there" in err
    [status] = store.sql("SELECT status FROM runs WHERE command = 'ingest text'")["status"]
    assert status.as_py() == "interrupted"
    assert store.failed_items("text", "fake") == set()


def test_a_call_under_way_is_finished_and_the_next_not_begun(store, monkeypatch):
    monkeypatch.setattr("ingest.stages.embeddings._ITEMS_A_CALL", 10)

    def interrupt(values: object) -> None:
        if len(encoder.calls) == 3:
            os.kill(os.getpid(), signal.SIGINT)

    encoder = FakeEncoder("structure", before=interrupt)
    with pytest.raises(KeyboardInterrupt, match=f"30 of {N} structures done"):
        ingest_structure_embeddings(
            store, encoder, selection=Selection(), retry_failures=False, run=Run("r")
        )
    name = embedding_table("structure", encoder.spec.encoder_id)
    assert store.sql(f"FROM {name}").num_rows == 30


def test_the_second_ctrl_c_stops_at_once(capsys):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), stop_on_interrupt() as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        assert interruption.asked
        assert list(interruption.until_asked([1, 2])) == []
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
    assert "Ctrl-C again stops at once" in capsys.readouterr().err


def test_outside_the_main_thread_nothing_changes():
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work() -> None:
        with stop_on_interrupt() as interruption:
            seen.append((signal.getsignal(signal.SIGINT), interruption.asked))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(before, False)]
