"""Parts of other packages: found without imports, one loaded at a time, at fault by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from made_up_package import install

from featurestore.cli.root import root
from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.plugins import (
    ENCODERS,
    TEXTS,
    NotAPartError,
    Part,
    PartConflictError,
    PartImportError,
    load_part,
    part_names,
    registered,
)
from ingest.encoders.base import EncoderPart
from ingest.encoders.load import load_encoder
from ingest.encoders.registry import named_encoder
from ingest.text.base import TextPart

SOUND = """
from featurestore.plugins import Part
PART = Part(name="sound", summary="A sound part.", make=lambda request: request, licence="MIT")
"""
HEAVY = {"torch", "transformers", "matminer", "chgnet", "robocrys", "jarvis", "pymatgen"}
BROKEN = "import no_such_module_anywhere"
ENCODER = """
from ingest.encoders.base import EncoderPart
PART = EncoderPart(
    name="{name}",
    kind="text",
    summary="Does nothing.",
    make=lambda request: request,
    recognises={recognises},
)
"""


def add(site: Path, package: str, name: str, code: str) -> None:
    module = package.replace("-", "_")
    install(
        site,
        package,
        entry_points={ENCODERS: {name: f"{module}:PART"}},
        modules={module: code},
        version="2.5",
    )


def test_what_ships_is_registered_like_anybodys() -> None:
    assert {"alignn", "bert", "chgnet", "matminer"} <= set(part_names(ENCODERS))
    assert {"chemnlp", "robocrystallographer"} <= set(part_names(TEXTS))
    for group, kind in ((ENCODERS, EncoderPart), (TEXTS, TextPart)):
        for name in part_names(group):
            assert registered(group, name).package == "materials-featurestore"
            assert load_part(group, name, kind).name == name


def test_names_are_listed_and_one_is_loaded_without_importing_another(site: Path) -> None:
    add(site, "lab-sound", "sound", SOUND)
    add(site, "lab-broken", "broken", BROKEN)
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r})\n"
        "from featurestore.plugins import ENCODERS, Part, load_part, part_names\n"
        "assert {'sound', 'broken', 'alignn'} <= set(part_names(ENCODERS))\n"
        "assert not {'lab_sound', 'ingest', 'torch', 'numpy'} & set(sys.modules)\n"
        "assert load_part(ENCODERS, 'sound', Part).summary == 'A sound part.'\n"
        "assert not {'lab_broken', 'ingest', 'torch', 'numpy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_part_of_this_package_loads_no_model_library() -> None:
    code = (
        "import sys\n"
        "from featurestore.plugins import ENCODERS, TEXTS, Part, load_part, part_names\n"
        "from featurestore.plugins import registered\n"
        "for group in (ENCODERS, TEXTS):\n"
        "    for name in part_names(group):\n"
        "        load_part(group, name, Part)\n"
        f"assert not {HEAVY!r} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_part_whose_import_fails_names_package_entry_point_and_cause(site: Path) -> None:
    add(site, "lab-sound", "sound", SOUND)
    add(site, "lab-broken", "broken", BROKEN)
    add(site, "lab-quitter", "quitter", "raise SystemExit('no licence file')")
    with pytest.raises(PartImportError) as raised:
        load_part(ENCODERS, "broken", Part)
    message = str(raised.value)
    for said in ("'broken'", "lab-broken 2.5", "lab_broken:PART", "no_such_module_anywhere"):
        assert said in message
    with pytest.raises(PartImportError, match="SystemExit: no licence file"):
        load_part(ENCODERS, "quitter", Part)
    assert load_part(ENCODERS, "sound", Part).licence == "MIT"
    listed = CliRunner().invoke(root, ["parts", "encoders", "--format", "json"]).stdout
    assert "no_such_module_anywhere" in listed and "A sound part." in listed


def test_two_packages_with_one_name_are_both_named_and_neither_is_taken(site: Path) -> None:
    add(site, "lab-a", "sound", SOUND)
    add(site, "lab-b", "sound", SOUND)
    with pytest.raises(PartConflictError) as raised:
        load_part(ENCODERS, "sound", Part)
    assert "lab-a 2.5 (lab_a:PART)" in str(raised.value)
    assert "lab-b 2.5 (lab_b:PART)" in str(raised.value)
    assert load_part(ENCODERS, "matminer", EncoderPart).name == "matminer"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("PART = 3", "is of class int, not EncoderPart"),
        (SOUND, "is of class Part, not EncoderPart"),
        (ENCODER.format(name="other", recognises=None), "calls itself 'other'"),
    ],
)
def test_what_is_no_part_of_the_kind_is_refused(site: Path, code: str, message: str) -> None:
    add(site, "lab-odd", "odd", code)
    with pytest.raises(NotAPartError, match=f"'odd' of lab-odd 2.5 .*{message}"):
        load_part(ENCODERS, "odd", EncoderPart)


def test_an_unknown_name_has_its_nearest_names() -> None:
    message = "unknown encoder 'matminr'; did you mean 'matminer'"
    with pytest.raises(UnknownNameError, match=message):
        load_part(ENCODERS, "matminr", EncoderPart)
    with pytest.raises(UnknownNameError, match=message):
        load_encoder("matminr")


def test_a_folder_is_read_by_the_one_part_that_recognises_it(site: Path, tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    config = folder / "config.json"
    config.write_text('{"strange": 1}')
    recognises = "lambda config: 'strange' in config"
    add(site, "lab-one", "one", ENCODER.format(name="one", recognises=recognises))
    add(site, "lab-broken", "broken", BROKEN)
    # That one package is broken is not the other's fault.
    named = named_encoder(str(folder))
    assert (named.part.name, named.name, named.folder) == ("one", "weights", folder)
    config.write_text('{"stranger": 1}')
    with pytest.raises(InvalidInputError, match=r"none of .*one recognises; not asked: .*lab-brok"):
        named_encoder(str(folder))
    config.write_text('{"strange": 1, "model_type": "bert"}')
    with pytest.raises(PartConflictError, match=r"materials-featurestore .* and lab-one 2\.5"):
        named_encoder(str(folder))


def test_a_name_that_weights_have_already_is_refused(site: Path) -> None:
    add(site, "lab-minilm", "minilm", ENCODER.format(name="minilm", recognises=None))
    with pytest.raises(PartConflictError, match=r"encoder of lab-minilm 2\.5 .* name of weights"):
        load_encoder("minilm")


def test_an_architecture_needs_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInputError, match="'bert' is an architecture, which needs weights"):
        load_encoder("bert")


def test_the_command_prints_settings() -> None:
    def shown(*arguments: str) -> str:
        return " ".join(CliRunner().invoke(root, ["parts", *arguments]).stdout.split())

    assert "materials-featurestore" in shown("encoders", "bert")
    assert "pooling=mean" in shown("encoders", "bert")
    assert "[choice: one of mean, cls]" in shown("encoders", "bert")
    assert "It takes no settings." in shown("texts", "chemnlp")
    csv = shown("encoders", "bert", "--format", "csv").replace('"', "")
    assert "special_tokens,bool,true,true or false,True," in csv
