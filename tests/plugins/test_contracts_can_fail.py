"""Each test of a contract fails for a part that breaks just that rule."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from featurestore.failure import Failure
from featurestore.plugins import Request, Setting
from featurestore.testing import EncoderContract, TextContract
from ingest.encoders.base import EncoderPart, EncoderSpec, Segment, StructureVector
from ingest.text.base import GeneratorSpec, Sentence, TextPart

POWER = Setting("power", int, 1, "Of the edges.")


class Edges:
    """The edges of the cell to a power, sound unless told otherwise."""

    def __init__(self, request: Request) -> None:
        self.power = request.settings["power"]
        self.spec = EncoderSpec(
            request.name, "structure", 3, (Segment("edges", 0, 3),), request.fingerprint
        )

    def vector(self, crystal: Any) -> Any:
        return np.linalg.norm(crystal.lattice, axis=1).astype(np.float32) ** self.power

    def encode(self, crystals: Sequence[Any]) -> list[Any]:
        return [
            Failure("UnknownElement", "Qq")
            if "Qq" in crystal.species
            else StructureVector(self.vector(crystal))
            for crystal in crystals
        ]


class Leaking(Edges):
    kept: ClassVar[list[Any]] = []

    def encode(self, crystals: Sequence[Any]) -> list[Any]:
        self.kept.append(np.ones(2**20))
        return super().encode(crystals)


class Drifting(Edges):
    calls = count()

    def encode(self, crystals: Sequence[Any]) -> list[Any]:
        number = next(self.calls)
        return [
            one if isinstance(one, Failure) else StructureVector(one.vector + number)
            for one in super().encode(crystals)
        ]


class Centred(Edges):
    """Takes the mean of the batch away."""

    def encode(self, crystals: Sequence[Any]) -> list[Any]:
        found = super().encode(crystals)
        vectors = [one.vector for one in found if isinstance(one, StructureVector)]
        return [
            one if isinstance(one, Failure) else StructureVector(one.vector - np.mean(vectors, 0))
            for one in found
        ]


class Raising(Edges):
    def encode(self, crystals: Sequence[Any]) -> list[Any]:
        if any("Qq" in crystal.species for crystal in crystals):
            raise ValueError("no such element")
        return super().encode(crystals)


class Dropping(Edges):
    def encode(self, crystals: Sequence[Any]) -> list[Any]:
        return [one for one in super().encode(crystals) if not isinstance(one, Failure)]


class Blind(Edges):
    def vector(self, crystal: Any) -> Any:
        return np.ones(3, dtype=np.float32)


class Double(Edges):
    def vector(self, crystal: Any) -> Any:
        return super().vector(crystal).astype(np.float64)


class Unsettled(Edges):
    """Leaves its setting out of the fingerprint."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self.spec = replace(self.spec, fingerprint=request.part.identity())


class Renamed(Edges):
    """Writes its setting where it is not found again."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        settings = {"exponent": self.power}
        self.spec = replace(self.spec, fingerprint=request.part.identity() | settings)


class Stamped(Edges):
    """Has a fingerprint of its process and its turn."""

    turns = count()

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        turn = {"turn": f"{os.getpid()}-{next(self.turns)}"}
        self.spec = replace(self.spec, fingerprint=request.fingerprint | turn)


def contract(made: type[Any]) -> Callable[[str], None]:
    """A function that runs one test of the encoders' contract, fixtures and all."""
    part = EncoderPart(
        name="edges",
        kind="structure",
        summary="Edges.",
        licence="MIT",
        make=made,
        settings=(POWER,),
    )

    def build(**more: Any) -> Any:
        return part.build(more)

    def run(test: str) -> None:
        function = getattr(EncoderContract(), test)
        names = function.__code__.co_varnames[1 : function.__code__.co_argcount]
        fixtures = {"part": part, "build": build, "encoder": None}
        if "encoder" in names:
            fixtures["encoder"] = build()
        function(**{name: fixtures[name] for name in names})

    return run


TESTS = [name for name in dir(EncoderContract) if name.startswith("test_")]


@pytest.mark.parametrize("test", TESTS)
def test_a_sound_encoder_passes(test: str) -> None:
    contract(Edges)(test)


@pytest.mark.parametrize(
    ("made", "test"),
    [
        (Drifting, "test_the_same_items_give_the_same_vectors"),
        (Centred, "test_order_and_company_do_not_matter"),
        (Raising, "test_one_failure_does_not_lose_the_others"),
        (Dropping, "test_one_failure_does_not_lose_the_others"),
        (Blind, "test_different_items_have_different_vectors"),
        (Double, "test_one_vector_each_that_the_segments_cover"),
        (Unsettled, "test_the_fingerprint_changes_with_each_setting_that_matters"),
        (Renamed, "test_the_settings_can_be_read_from_the_fingerprint"),
        (Stamped, "test_the_fingerprint_is_the_same_each_time"),
        pytest.param(
            Leaking,
            "test_memory_is_bounded",
            marks=pytest.mark.skipif(
                not Path("/proc/self/statm").exists(), reason="only Linux tells"
            ),
        ),
    ],
)
def test_an_encoder_that_breaks_a_rule_fails_its_test(made: type[Any], test: str) -> None:
    with pytest.raises((AssertionError, ValueError)):
        contract(made)(test)
    Leaking.kept.clear()


def test_text_in_a_setting_needs_another_value() -> None:
    part = replace(
        EncoderPart(name="edges", kind="structure", summary="Edges.", make=Edges),
        settings=(POWER, Setting("label", str, "a", "A label.")),
    )
    with pytest.raises(pytest.fail.Exception, match="'label' in other_values"):
        list(EncoderContract()._others(part))


class Words:
    """The formula and the number of atoms; ``habit`` says how it goes wrong."""

    habit = ""
    met_a_bad_one = False
    turns = count()

    def __init__(self, request: Request) -> None:
        source = "verses" if self.habit == "other name" else request.name
        self.spec = GeneratorSpec(source, request.fingerprint)

    def warm_up(self) -> None:
        """Nothing to load."""

    def describe(self, crystal: Any) -> list[Sentence]:
        if "Qq" in crystal.species:
            self.met_a_bad_one = True
            raise ValueError("" if self.habit == "says nothing" else "no element Qq")
        if self.met_a_bad_one and self.habit == "sulks":
            return []
        turn = f" ({next(self.turns)})" if self.habit == "counts" else ""
        tag = "shape" if self.habit == "untold tag" else "formula"
        return [Sentence(f"It is {''.join(crystal.species)}{turn}.", tag, ())]


@pytest.mark.parametrize(
    ("habit", "test"),
    [
        ("other name", "test_its_source_is_its_name"),
        ("untold tag", "test_every_sentence_has_a_declared_tag"),
        ("counts", "test_the_same_crystal_has_the_same_text"),
        ("counts", "test_order_does_not_matter"),
        ("sulks", "test_one_failure_does_not_lose_the_others"),
        ("says nothing", "test_one_failure_does_not_lose_the_others"),
    ],
)
def test_a_generator_that_breaks_a_rule_fails_its_test(habit: str, test: str) -> None:
    part = TextPart(name="words", summary="Words.", make=Words, tags=("formula",), licence="MIT")

    def run(made: type[Words]) -> None:
        function = getattr(TextContract(), test)
        names = function.__code__.co_varnames[1 : function.__code__.co_argcount]
        broken = replace(part, make=made)
        fixtures = {"part": broken, "build": broken.build, "generator": broken.build()}
        function(**{name: fixtures[name] for name in names})

    run(Words)
    with pytest.raises((Exception, pytest.fail.Exception)):
        run(type("Broken", (Words,), {"habit": habit}))
