from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from featurestore.crystal import Crystal
from featurestore.errors import InvalidInputError
from featurestore.plugins import TEXTS, load_part
from featurestore.testing import TextContract
from ingest.structures.convert import to_pymatgen
from ingest.text import robocrys_layer
from ingest.text.base import TextPart
from ingest.text.registry import generator
from ingest.text.robocrystallographer import Robocrystallographer, quiet, reference_settings

# Describes crystals as they come and, for contrast, with the library's own order of words.
CHILD = """
import json, pickle, sys
from ingest.structures.convert import to_pymatgen
from ingest.text.registry import generator
from ingest.text.robocrystallographer import quiet
made = generator("robocrystallographer")
crystals = pickle.load(sys.stdin.buffer)
ours = [made.text(crystal) for crystal in crystals]
with quiet():
    library = [
        made._describer.describe(made._condenser.condense_structure(to_pymatgen(crystal)))
        for crystal in crystals
    ]
print(json.dumps([ours, library]))
"""


@pytest.mark.parametrize("quick", [2, pytest.param(0, marks=pytest.mark.slow)])
def test_texts_are_those_of_the_plain_library(
    crystals: dict[str, Crystal], robocrystallographer: Robocrystallographer, quick: int
) -> None:
    """The benchmark of the texts compares real materials, too."""
    from robocrys import StructureCondenser, StructureDescriber

    with quiet():
        condenser, describer = StructureCondenser(), StructureDescriber()
    for name in sorted(crystals, key=lambda name: len(crystals[name].species))[: quick or None]:
        crystal = crystals[name]
        with quiet(), reference_settings():
            plain = describer.describe(condenser.condense_structure(to_pymatgen(crystal)))
        assert robocrystallographer.text(crystal) == plain, name


def test_sentences_join_to_the_text_and_are_tagged(
    crystals: dict[str, Crystal], robocrystallographer: Robocrystallographer
) -> None:
    seen = set()
    for crystal in crystals.values():
        sentences = robocrystallographer.describe(crystal)
        assert " ".join(s.text for s in sentences) == robocrystallographer.text(crystal)
        assert sentences[0].tag == "summary"
        seen |= {sentence.tag for sentence in sentences}
    assert seen == {
        "summary",
        "site info",
        "structure coordination",
        "bond length",
        "bond angle",
    }


def test_directions_are_printed_as_in_the_papers_time(
    crystals: dict[str, Crystal], robocrystallographer: Robocrystallographer
) -> None:
    text = robocrystallographer.text(crystals["molybdenite"])
    assert "two MoS2 sheets oriented in the (0, 0, 1) direction" in text


def differing_hash_seed() -> str:
    """A seed under which Python orders the library's connectivities otherwise than here."""
    here = " ".join({"corner", "face"})
    for seed in map(str, range(50)):
        done = subprocess.run(
            [sys.executable, "-c", "print(*{'corner', 'face'})"],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        if done.stdout.strip() != here:
            return seed
    raise AssertionError("no seed gives another order")


@pytest.mark.slow
def test_texts_do_not_depend_on_the_hash_seed(
    crystals: dict[str, Crystal], robocrystallographer: Robocrystallographer
) -> None:
    chosen = [crystals["half-Heusler"]]
    child = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHILD],
        env={**os.environ, "PYTHONHASHSEED": differing_hash_seed()},
        cwd=Path(__file__).parents[2],
        input=pickle.dumps(chosen),
        capture_output=True,
        check=True,
    )
    there, library_there = json.loads(child.stdout)
    assert there == [robocrystallographer.text(crystal) for crystal in chosen]
    with quiet():
        condensed = robocrystallographer._condenser.condense_structure(to_pymatgen(chosen[0]))
        library_here = robocrystallographer._describer.describe(condensed)
    assert library_here != library_there[0]
    assert "mixture of distorted corner and face-sharing" in there[0]


def test_settings_are_undone(crystals: dict[str, Crystal], robocrystallographer: Any) -> None:
    from pymatgen.util import provenance
    from robocrys.condense import condenser
    from robocrys.condense.molecule import MoleculeNamer
    from robocrys.condense.site import SiteAnalyzer
    from robocrys.describe import describer

    robocrystallographer.text(crystals["rock salt"])
    with pytest.raises(RuntimeError, match="inside"), reference_settings():
        assert describer.list is sorted
        assert repr(np.int64(0)) == "0"
        assert condenser.MoleculeNamer().use_online_pubchem is False
        raise RuntimeError("inside")
    assert "list" not in vars(describer)
    assert not provenance.is_valid_bibtex("no reference")
    assert repr(np.int64(0)) == "np.int64(0)"
    assert condenser.MoleculeNamer is MoleculeNamer
    assert condenser.SiteAnalyzer is SiteAnalyzer


@pytest.mark.slow
def test_other_versions_fall_back_to_the_plain_library_and_say_so(
    crystals: dict[str, Crystal],
    robocrystallographer: Robocrystallographer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proven = {**robocrys_layer.PROVEN, "matminer": "0.0.0"}
    monkeypatch.setattr(robocrys_layer, "PROVEN", proven)
    made = Robocrystallographer()
    with pytest.warns(UserWarning, match=r"plain library.*matminer .* \(proven: 0\.0\.0\)"):
        made.warm_up()
    from robocrys import StructureCondenser

    assert type(made._condenser) is StructureCondenser
    assert made.text(crystals["rock salt"]) == robocrystallographer.text(crystals["rock salt"])
    assert made.spec == robocrystallographer.spec


@pytest.mark.slow
def test_guessed_oxidation_states_are_another_generator(
    crystals: dict[str, Crystal], robocrystallographer: Robocrystallographer
) -> None:
    guessing = Robocrystallographer(guess_oxidation_states=True)
    assert guessing.spec.generator_id != robocrystallographer.spec.generator_id
    assert guessing.spec == generator("robocrystallographer", guess_oxidation_states=True).spec
    guessing.warm_up()
    assert "Na(1)1+ is bonded" in guessing.text(crystals["rock salt"])


def test_a_structure_that_the_library_cannot_describe_is_an_error(
    robocrystallographer: Robocrystallographer,
) -> None:
    crystal = Crystal(np.eye(3) * 4.0, ("Xx",), np.zeros((1, 3)))
    with pytest.raises(InvalidInputError, match="Robocrystallographer cannot describe"):
        robocrystallographer.describe(crystal)


def test_an_empty_description_is_an_error(
    crystals: dict[str, Crystal],
    robocrystallographer: Robocrystallographer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(robocrystallographer._describer, "describe", lambda condensed: " ")
    with pytest.raises(InvalidInputError, match="empty description"):
        robocrystallographer.describe(crystals["rock salt"])


class TestRobocrystallographer(TextContract):
    memory_calls: ClassVar = 10

    @pytest.fixture
    def part(self) -> TextPart:
        return load_part(TEXTS, "robocrystallographer", TextPart)

    @pytest.fixture
    def generator(self, robocrystallographer: Robocrystallographer) -> Any:
        return robocrystallographer

    def crystals(self, number: int = 0) -> list[Crystal]:
        """Three of them: each takes some time."""
        return super().crystals(number)[:3]
