"""The pool on a small Ray cluster: results, failures and what is refused; skipped without Ray."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from made_up_materials import entry, write_archive
from ray_work import die, refuse, scale, work
from tiny_bert import write_tiny_bert

from featurestore.catalogue import find_generator
from featurestore.cli.root import root
from featurestore.errors import InvalidInputError
from featurestore.failure import Failure
from featurestore.machine.cluster import Cluster, chosen_cluster, on_cluster
from featurestore.machine.pool import default_workers, worker_pool
from featurestore.machine.ray_workers import RayPool
from featurestore.machine.workers import WorkersError
from featurestore.store import FeatureStore
from featurestore.stored_structures import stored_crystals
from featurestore.tables.schemas import embedding_table
from ingest.encoders.load import load_encoder
from ingest.preparation import ModelPreparation
from ingest.stages.selection import Selection
from ingest.text.registry import text_part

# Not by importing it: its settings are read then.
if importlib.util.find_spec("ray") is None:
    pytest.skip("Ray is not installed", allow_module_level=True)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Two nodes of this machine, with a processor each."""
    from ray.cluster_utils import Cluster as TestCluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # A loaded machine takes longer than half a minute.
        patch.setenv("RAY_raylet_start_wait_time_s", "300")
        # Workers import what this file does.
        here = Path(__file__).parent
        patch.setenv("PYTHONPATH", os.pathsep.join([str(here), os.environ.get("PYTHONPATH", "")]))
        started = TestCluster(
            initialize_head=True,
            head_node_args={"num_cpus": 1, "include_dashboard": False},
        )
        started.add_node(num_cpus=1)
        try:
            yield Cluster(started.address)
        finally:
            started.shutdown()


class TestThePool:
    """One connection for all: each starts processes of its own."""

    @pytest.fixture(scope="class")
    def there(self, cluster: Cluster) -> Iterator[Cluster]:
        with on_cluster(cluster):
            yield cluster

    def test_every_item_has_its_result_and_failures_are_their_own(self, there, tmp_path):
        assert default_workers() == 2
        harmful = ["raise", tmp_path / "once", "die", "hang", "memory"]
        items = [*range(40), *harmful, *range(40)]
        with worker_pool(2, scale, (3,), 4 << 30) as pool:
            results = dict(pool.run(work, enumerate(items), 4.0))
        assert sorted(results) == list(range(len(items)))
        for number, item in enumerate(items):
            if isinstance(item, int):
                assert results[number] == 3 * item
        assert results[40] == Failure("ValueError", "as it was told")
        assert results[41] == "second"
        assert results[42].error == "WorkerDied"
        assert results[43] == Failure("TimeLimit", "took more than 4 s")
        assert results[44].error == "MemoryError"

    def test_items_are_read_as_they_are_worked_on_and_a_pool_can_be_left(self, there):
        read = []

        def items() -> Iterator[tuple[int, int]]:
            for number in range(100_000):
                read.append(number)
                yield number, number

        with worker_pool(1, scale, (1,)) as pool:
            results = pool.run(work, items())
            for _ in range(5):
                next(results)
            results.close()
            assert len(read) < 2_000
            # The pool goes on with other work.
            assert dict(pool.run(abs, [(1, -1)])) == {1: 1}

    @pytest.mark.parametrize(
        ("initializer", "arguments", "message"),
        [
            (refuse, ("its weights are others",), "its weights are others"),
            (die, (), "while they start"),
        ],
    )
    def test_workers_that_cannot_start_are_an_error(self, there, initializer, arguments, message):
        with (
            worker_pool(1, initializer, arguments) as pool,
            pytest.raises(WorkersError, match=message),
        ):
            list(pool.run(work, [(0, 0)]))

    def test_other_versions_are_refused_by_name(self, there, monkeypatch):
        from featurestore.machine import ray_workers

        mine = {**ray_workers.facts(), "duckdb": "0.0.1"}
        monkeypatch.setattr(ray_workers, "facts", lambda: mine)
        with (
            worker_pool(1, scale, (1,)) as pool,
            pytest.raises(WorkersError, match=r"duckdb .*0\.0\.1"),
        ):
            list(pool.run(work, [(0, 0)]))

    def test_more_than_the_cluster_has_is_refused(self, there):
        with pytest.raises(WorkersError, match="no room"):
            Cluster(there.address, cpus_per_worker=64).capacity()


def test_nothing_of_rays_comes_on_the_standard_output_and_sigterm_stays(cluster, capfd):
    before = signal.getsignal(signal.SIGTERM)
    with on_cluster(cluster):
        with worker_pool(1, scale, (3,)) as pool:
            results = dict(pool.run(work, [("poison", "die"), ("plain", 1)]))
        assert results["plain"] == 3
        assert signal.getsignal(signal.SIGTERM) == before
        print("mine")
    assert capfd.readouterr().out == "mine\n"
    assert chosen_cluster() is None


@pytest.mark.parametrize("address", ["", "head", "ray://head:10001", "user:word@head:1", "a b:1"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(InvalidInputError, match="HOST:PORT"):
        Cluster(address)


def test_an_address_where_nothing_answers_is_an_error_at_once():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.monotonic()
    with (
        pytest.raises(WorkersError, match=f"127.0.0.1:{port}"),
        on_cluster(Cluster(f"127.0.0.1:{port}")),
    ):
        pass
    assert time.monotonic() - began < 20


def six(folder: Path) -> FeatureStore:
    archive = write_archive(folder / "six.json", [entry(f"m{i}", 4.0 + i / 9) for i in range(6)])
    store = FeatureStore.open(folder / "store", create=True)
    called("structures", str(archive), "--dataset", "six", store=store)
    return store


def called(*arguments: str, store: FeatureStore) -> Result:
    result = CliRunner().invoke(
        root, ["ingest", *arguments, "--store", store.uri], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.slow
def test_text_and_vectors_of_a_cluster_are_those_of_one_machine(cluster, tmp_path):
    store = six(tmp_path)
    on_it = ("--ray", cluster.address)
    made = called("text", "--text", "chemnlp", "--workers", "1", *on_it, store=store)
    assert made.stdout == "structures described: 6 written, 0 already there, 0 failed\n"
    folder = str(write_tiny_bert(tmp_path / "tiny"))
    called("embeddings", "--encoder", folder, "--text", "chemnlp", *on_it, store=store)
    with store.session() as session:
        ids = session.query("SELECT structure_id FROM materials ORDER BY 1")["structure_id"]
        crystals = dict(stored_crystals(session, ids.to_pylist()))
        rows = session.query("FROM sentences ORDER BY structure_id, position").to_pylist()
        texts = session.query("SELECT text_id, text FROM texts('chemnlp')").to_pylist()
    generator = text_part("chemnlp").generator({})
    for structure_id, crystal in crystals.items():
        found = [row["sentence"] for row in rows if row["structure_id"] == structure_id]
        assert found == [sentence.text for sentence in generator.describe(crystal)]
    encoder = load_encoder(folder)
    dataset = store.dataset(embedding_table("text", encoder.spec.encoder_id))
    vectors = {row["text_id"]: row["vector"] for row in dataset.to_table().to_pylist()}
    assert set(vectors) == {row["text_id"] for row in texts}
    here = encoder.encode([row["text"] for row in texts])
    # Other batches than here: the sums come in another order.
    for row, result in zip(texts, here, strict=True):
        np.testing.assert_allclose(vectors[row["text_id"]], result.vector, atol=1e-5)
    hosts = store.sql("SELECT command, host FROM runs ORDER BY started_at").to_pylist()
    on_which = [(run["command"], json.loads(run["host"]).get("cluster")) for run in hosts]
    assert [place for command, place in on_which if command == "ingest structures"] == [None]
    assert [place for command, place in on_which if command != "ingest structures"] == [
        cluster.address
    ] * 2


@pytest.mark.slow
def test_a_preparation_gives_processors_back_between_its_steps(cluster, tmp_path):
    import ray

    store = six(tmp_path)
    called("text", "--text", "chemnlp", "--workers", "1", store=store)
    new = write_archive(tmp_path / "new.json", [entry(f"new{i}", 5.0 + i / 9) for i in range(4)])
    called("structures", str(new), "--dataset", "new", store=store)
    with store.session() as session:
        generator_id = find_generator(session, "chemnlp").generator_id
    chosen = Selection(materials=tuple(f"new{i}" for i in range(4)))
    with on_cluster(cluster), closing(ModelPreparation()) as preparation:
        assert preparation._describe(store, generator_id, chosen) == {}
        until = time.monotonic() + 30
        while (free := ray.available_resources().get("CPU", 0)) < 2 and time.monotonic() < until:
            time.sleep(0.1)
    assert free == 2
    assert store.sql("SELECT count(*) AS n FROM texts('chemnlp')")["n"][0].as_py() == 10


def test_duplicates_and_symmetry_of_a_cluster(cluster, tmp_path, monkeypatch):
    from ingest.structures import analysis

    monkeypatch.setattr(analysis, "_ENOUGH_FOR_WORKERS", 1)
    store = six(tmp_path)
    archive = write_archive(tmp_path / "two.json", [entry("again", 4.0), entry("new", 7.0)])
    on_it = ("--ray", cluster.address)
    called("structures", str(archive), "--dataset", "two", *on_it, store=store)
    called("duplicates", *on_it, store=store)
    facts = store.sql("SELECT space_group, count(*) AS n FROM materials GROUP BY ALL").to_pylist()
    assert facts == [{"space_group": "Pm-3m", "n": 8}]
    # Scaled to one volume all are the same crystal.
    groups = store.sql("SELECT DISTINCT group_id FROM duplicates").to_pylist()
    assert len(groups) == 1


def test_a_worker_with_another_generator_or_encoder_refuses(tmp_path):
    from ingest.stages import embeddings, text

    with pytest.raises(InvalidInputError, match="not chemnlp_0000000000"):
        text._start_worker("chemnlp", {}, "chemnlp_0000000000")
    folder = str(write_tiny_bert(tmp_path / "tiny"))
    with pytest.raises(InvalidInputError, match="its weights or versions are others"):
        embeddings._start_worker(embeddings.Named(folder, {}), "tiny_0000000000")


DOCUMENT = Path(__file__).parents[2] / "docs" / "scaling.md"


def documented_commands() -> list[list[str]]:
    lines = DOCUMENT.read_text("utf-8").splitlines()
    shown = [line for line in lines if "featurestore " in line and " --ray " in line]
    return [shlex.split(line[line.index("featurestore ") :])[1:] for line in shown]


def test_documented_commands_have_the_options_they_show():
    commands = documented_commands()
    assert len(commands) == 11
    for words in commands:
        command: click.Command = root
        context = click.Context(root)
        while isinstance(command, click.Group):
            found = command.get_command(context, words.pop(0))
            assert found is not None
            command = found
        address = words[words.index("--ray") + 1].replace("$(RAY_HEAD)", "10.0.0.5")
        assert Cluster(address).address.endswith(":6379")
        command.make_context(command.name, words)


def test_documented_files_of_clusters_read():
    yaml = pytest.importorskip("yaml")
    blocks = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    up, job = (yaml.safe_load(block) for block in blocks)
    assert up["head_node_type"] in up["available_node_types"]
    assert job["kind"] == "RayJob" and job["spec"]["entrypoint"].startswith("featurestore ingest")


def test_a_worker_asks_for_the_processors_and_gpus_that_were_said():
    asked: list[dict[str, object]] = []

    class Made:
        def options(self, **resources):
            asked.append(resources)
            return self

        def remote(self, *_):
            return self

        start = property(lambda self: self)

    pool = RayPool(3, cluster=Cluster("10.0.0.5:6379", cpus_per_worker=4.0, gpus_per_worker=1.0))
    pool.__dict__["_ray"] = SimpleNamespace(remote=lambda _: Made())
    pool._start_for(2)
    assert len(asked) == 2
    for resources in asked:
        assert resources["num_cpus"] == 4.0 and resources["num_gpus"] == 1.0
        assert resources["max_restarts"] == 0 and resources["max_task_retries"] == 0
