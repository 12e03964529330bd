"""The packages of docs/extending.md are built, installed and used as it says."""

from __future__ import annotations

import gzip
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from tiny_bert import write_tiny_bert

from featurestore.catalogue import find_encoder, find_generator
from featurestore.cli.root import root
from featurestore.commands import describing_command, encoding_command
from featurestore.plugins import ENCODERS, TEXTS, part_names, registered
from featurestore.store import FeatureStore
from ingest.weights.cache import write_record

TEXT = (Path(__file__).parents[2] / "docs" / "extending.md").read_text("utf-8")
FILES = dict(re.findall(r"^`(lab-[\w./-]+)`\n+```\w+\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL))
(SHELL,) = re.findall(r"^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
PACKAGES = ("lab-nuclei", "lab-plain", "lab-ridge", "lab-fract")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages as pip installs them."""
    folder = tmp_path_factory.mktemp("packages")
    for name, body in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(body, "utf-8")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--target", str(folder / "site")]
    subprocess.run([*command, *(str(folder / name) for name in PACKAGES)], check=True)
    return folder


@pytest.fixture
def used(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder, with the packages on the path and tiny weights in the place of MiniLM's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(installed / "site")
    # The workers that write texts are processes of their own.
    monkeypatch.setenv("PYTHONPATH", str(installed / "site"), prepend=":")
    monkeypatch.setenv("FEATURESTORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FEATURESTORE_URI", str(tmp_path / "store"))
    folder = tmp_path / "cache" / "weights" / "minilm"
    write_tiny_bert(folder)
    write_record(folder, "minilm", "made by the test", {})
    text = b"4.1 0 0\n0 4.1 0\n0 0 4.1\nCs 0 0 0\nCl .5 .5 .5\n"
    (tmp_path / "measured.fract.gz").write_bytes(gzip.compress(text))
    yield tmp_path
    for name in ("lab_nuclei", "lab_plain", "lab_ridge", "lab_fract"):
        sys.modules.pop(name, None)


def test_the_packages_are_short_and_all_there() -> None:
    for package in PACKAGES:
        module = f"{package}/{package.replace('-', '_')}.py"
        assert f"{package}/pyproject.toml" in FILES
        assert len([line for line in FILES[module].splitlines() if line.strip()]) <= 34


@pytest.mark.slow
def test_they_are_used_as_the_document_says(used: Path) -> None:
    assert "nuclei" in part_names(ENCODERS)
    assert registered(TEXTS, "plain").package == "lab-plain"
    output = ""
    commands = [shlex.split(line) for line in SHELL.splitlines()]
    assert commands[0][:2] == ["pip", "install"]
    for words in commands[1:]:
        assert words[0] == "featurestore"
        result = CliRunner().invoke(root, words[1:])
        assert result.exit_code == 0, (words, result.output, result.exception)
        output += result.output
    assert "power=1.0" in output and "lab-nuclei 1.0 (lab_nuclei:NUCLEI)" in output

    store = FeatureStore.open(used / "store")
    (material,) = store.sql("FROM materials WHERE material_id = 'measured'").to_pylist()
    assert (material["formula"], material["space_group_number"]) == ("CsCl", 221)
    (generator,) = store.sql("FROM generators").to_pylist()
    assert (generator["tags"], generator["reference_tags"]) == (["composition", "cell"], ["room"])
    (encoder,) = store.sql("FROM encoders WHERE kind = 'structure'").to_pylist()
    assert '"settings":{"power":0.5}' in encoder["fingerprint"]
    texts = store.sql(
        "SELECT text FROM texts('plain', variant := 'without:composition') "
        "JOIN materials USING (structure_id) WHERE material_id = 'JVASP-1372'"
    ).to_pylist()
    assert re.fullmatch(r"An atom takes \d+\.\d Å³\.", texts[0]["text"])
    models = store.sql("SELECT predictor, settings, metrics FROM models ORDER BY predictor")
    assert [row["predictor"] for row in models.to_pylist()] == [*["kernel-ridge"] * 2, "mean"]
    settings = {row["settings"] for row in models.to_pylist()[:2]}
    assert settings == {'{"nugget":0.1}', '{"nugget":0.5}'}
    assert '"versions":{"lab-ridge":"1.0"}' in models["metrics"][0].as_py()
    with store.session() as session:
        hints = (
            encoding_command(session, find_encoder(session, "nuclei", "structure")),
            describing_command(session, find_generator(session, "plain")),
        )
    assert [hint[-2:] for hint in hints] == [("--set", "power=0.5"), ("--set", "digits=1")]
    for hint in hints:
        again = CliRunner().invoke(root, list(hint[1:])).output
        assert "0 written, 71 already there, 0 failed" in again, again
    variants = store.sql("SELECT DISTINCT variant FROM renderings ORDER BY variant").to_pylist()
    assert [row["variant"] for row in variants] == ["without:cell", "without:composition"]


@pytest.mark.slow
def test_they_keep_the_contracts(installed: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_lab.py"],
        cwd=installed / "lab-tests",
        env=_environment(installed / "site"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"\d\d passed", result.stdout)


def _environment(site: Path) -> dict[str, str]:
    import os

    rooms = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [str(site), rooms, os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": path}
