"""Every command and Python snippet of README and docs runs, in order, as one session.

The weights that the documents name are replaced by tiny random ones in the same formats, so that
nothing is downloaded; the outputs shown in the documents come from the real ones.
"""

from __future__ import annotations

import importlib
import json
import re
import shlex
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import click
import optimade_server
import pytest
from here import train_here
from notebooks import code_cells, kinds, run_cells
from tiny_alignn import write_tiny_alignn
from tiny_bert import write_tiny_bert

import featurestore.machine.pool
import ingest.providers.optimade.databases
import ingest.stages.text
import ingest.weights.cache
import ingest.weights.registry
import train.benchmark.run
from featurestore.cli import root
from featurestore.store import FeatureStore
from ingest.text.base import Sentence
from ingest.weights.cache import file_sha256, write_record
from ingest.weights.registry import LocalSource, Weights

ROOT = Path(__file__).parent.parent
DOCUMENTS = ["README.md"] + [
    f"docs/{name}.md"
    for name in (
        "tutorial",
        "ingestion",
        "configuration",
        "targets",
        "providers",
        "tables",
        "sql",
        "quality",
        "export",
        "publishing",
        "features",
        "python",
        "search",
        "explore",
        "weights",
        "extending",
        "predicting",
        "screening",
        # before there is a second model of both, so that the beginning of an id names one
        "explanation_words",
        "report",
        "training",
        "source_models",
        "benchmark",
        "explanation",
        "snapshots",
        "lineage",
        # before there is a second version of the text encoder; then there are others of both kinds
        "text_learning",
        "classes",
        "maintenance",
        "guarantees",
        "growing",
        "study",
        "glossary",
    )
]
#: What a newcomer reads; the longer ones go on from what these have made.
FIRST = [
    "README.md",
    *(f"docs/{name}.md" for name in ("tutorial", "sql")),
]
_BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def snippets(document: str) -> Iterator[tuple[str, str]]:
    for language, body in _BLOCK.findall((ROOT / document).read_text("utf-8")):
        if language == "python":
            yield language, body
        else:
            yield from (
                (language, line.removeprefix("$ "))
                for line in body.splitlines()
                if line.startswith("$ ")
            )


def all_commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from all_commands(command, (*path, name))
        else:
            yield " ".join((*path, name))


def test_every_command_is_documented() -> None:
    text = "\n".join((ROOT / document).read_text("utf-8") for document in DOCUMENTS)
    for command in all_commands(root):
        assert f"featurestore {command}" in text or f"make {command}" in text, command


def test_every_benchmark_that_is_cited_exists() -> None:
    text = (ROOT / "docs" / "results.md").read_text("utf-8")
    cited = set(re.findall(r"python -m (benchmarks\.\w+)", text))
    assert len(cited) > 4
    for name in cited:
        command = importlib.import_module(name).main
        context = click.Context(command)
        options = {o for parameter in command.get_params(context) for o in parameter.opts}
        used = re.findall(rf"python -m {name} ([^`]*)`", text)
        for arguments in used:
            assert set(re.findall(r"--[\w-]+", arguments)) <= options, (name, arguments)


@pytest.fixture(scope="module")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache in which the documents' weights are there, tiny."""
    cache = tmp_path_factory.mktemp("cache")
    entries = {}
    for name, kind, write in (
        ("alignn-ff", "structure", write_tiny_alignn),
        ("minilm", "text", write_tiny_bert),
    ):
        folder = cache / "weights" / name
        write(folder)
        files = {path.name: file_sha256(path) for path in sorted(folder.iterdir())}
        write_record(folder, name, "made by the test", files)
        entries[name] = Weights(name, kind, None, "none", "tiny", LocalSource(), dict(files))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEATURESTORE_CACHE", str(cache))
        for module in (ingest.weights.registry, ingest.weights.cache):
            patch.setattr(module, "registry", lambda: entries)
        # Each process of Robocrystallographer needs ten seconds before its first sentence.
        patch.setattr(featurestore.machine.pool, "processors", lambda: 1)
        patch.setattr(train.benchmark.run, "train_cells", train_here)
        yield


@pytest.fixture(scope="module")
def oqmd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A server on this machine in the place of OQMD's."""
    with (
        optimade_server.serving(tmp_path_factory.mktemp("oqmd"), "oqmd") as url,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(
            ingest.providers.optimade.databases, "providers", lambda: {"oqmd": ("oqmd", url)}
        )
        yield


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory: pytest.TempPathFactory, tiny_weights: None) -> Path:
    """The folder in which the demonstration has run."""
    folder = tmp_path_factory.mktemp("demonstration")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        root.main(["demo"], prog_name="featurestore", standalone_mode=False)
    return folder


@dataclass(frozen=True)
class AsDemonstrated:
    """Stands in for the workers of the text stage: the sentences are the demonstration's."""

    sentences: dict[str, list[Sentence]]

    def run(self, items: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, list[Sentence]]]:
        (first, *_), *_ = self.sentences.values()
        for structure_id, _ in items:
            said = ("What the demonstration has not seen.", "It is described all the same.")
            new = [Sentence(sentence, first.tag, ()) for sentence in said]
            yield structure_id, self.sentences.get(structure_id, new)


def demonstrated(folder: Path, source: str) -> AsDemonstrated:
    rows = FeatureStore.open(folder / "demo-store").sql(
        "FROM sentences WHERE generator_id = (SELECT generator_id FROM generators "
        "WHERE source = ?) ORDER BY structure_id, position",
        [source],
    )
    return AsDemonstrated(
        {
            structure_id: [
                Sentence(row["sentence"], row["tag"], tuple(row["reference_tags"])) for row in found
            ]
            for structure_id, found in groupby(
                rows.to_pylist(), key=lambda row: row["structure_id"]
            )
        }
    )


def run_command(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = shlex.split(line)
    if words[0] == "export":
        name, _, value = words[1].partition("=")
        monkeypatch.setenv(name, value)
        return
    assert words[0] == "featurestore", f"only featurestore commands are shown: {line}"
    less = {"--max-epochs": "2", "--jobs": "1", "--seeds": "1"}
    arguments = [less.get(before, word) for before, word in pairwise(words)]
    status = root.main(arguments, prog_name="featurestore", standalone_mode=False)
    assert not status, f"exit code {status}: {line}"


@pytest.mark.parametrize(
    "documents", [FIRST, pytest.param(DOCUMENTS, marks=pytest.mark.slow)], ids=["first", "all"]
)
def test_documents_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    demonstration: Path,
    oqmd: None,
    documents: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    # The demonstration has had the same structures described, in a real worker.
    monkeypatch.setattr(
        ingest.stages.text,
        "InWorkers",
        lambda *, initargs, **_: demonstrated(demonstration, initargs[0]),
    )
    count = 0
    for document in documents:
        names: dict[str, Any] = {"__name__": document}
        for language, snippet in snippets(document):
            count += 1
            if language == "python":
                exec(compile(snippet, document, "exec"), names)
            else:
                run_command(snippet, monkeypatch)
    assert count > 30


def test_the_demonstration_runs_and_its_ingestion_is_then_a_no_op(
    demonstration: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(demonstration)
    assert len(list((demonstration / "demo-results").glob("*.png"))) == 2
    root.main(["demo"], prog_name="featurestore", standalone_mode=False)
    summaries = re.findall(r": ([\d,]+) written, ([\d,]+) already there", capsys.readouterr().out)
    assert len(summaries) == 8
    assert all(written == "0" and there != "0" for written, there in summaries)


NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


@pytest.mark.slow
def test_notebooks_run_and_end_with_what_they_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, demonstration: Path
) -> None:
    shutil.copytree(demonstration / "demo-store", tmp_path / "demo-store")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        ingest.stages.text,
        "InWorkers",
        lambda *, initargs, **_: demonstrated(demonstration, initargs[0]),
    )
    assert len(NOTEBOOKS) == 6
    for path in NOTEBOOKS:
        text = path.read_text("utf-8")
        assert len(text) < 250_000 and not re.search(r"/(home|root|tmp|work|Users)/", text), path
        notebook = json.loads(text)
        assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
        assert notebook["cells"][0]["source"][0].startswith("# ")
        stored = [kinds(cell["outputs"]) for cell in code_cells(notebook)]
        assert [kinds(outputs) for outputs in run_cells(notebook, path.name)] == stored, path
