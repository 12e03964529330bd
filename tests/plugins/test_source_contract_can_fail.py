"""Each test of the readers' contract fails for a reader that breaks just that rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from featurestore.crystal import Crystal
from featurestore.failure import Failure
from featurestore.testing import SourceContract
from ingest.structures.readers.base import Content, Found
from ingest.structures.readers.source_part import SourcePart
from ingest.structures.refusals import UnreadableFileError

FILES = {"one.edge": b"edge 4.1\n", "two.edge": b"edge 4.2\nedge 4.3\n"}


class Edges:
    """Cubes of polonium, one a line; sound unless told otherwise."""

    kept: ClassVar[list[Any]] = []

    def __init__(self, habit: str = "") -> None:
        self.habit = habit
        self.calls = count()
        self.met: list[bytes] = []

    def __call__(self, content: Content) -> Iterator[Found]:
        self.met.append(content.data)
        if self.habit == "keeps":
            self.kept.append(np.ones(2**20))
        for line in content.text.splitlines():
            word, _, edge = line.partition(" ")
            if word != "edge":
                if self.habit == "reads all":
                    edge = "4.0"
                else:
                    raise ValueError if self.habit == "is silent" else self.error(line)
            yield Found(Crystal(np.eye(3) * self.edge(float(edge)), ("Po",), np.zeros((1, 3))))

    def error(self, line: str) -> Exception:
        message = "" if self.habit == "says nothing" else f"no edge: {line[:20]!r}"
        return UnreadableFileError(message)

    def edge(self, edge: float) -> float:
        if self.habit == "drifts":
            return edge + next(self.calls) / 100
        if self.habit == "remembers" and len(self.met) > 1:
            return edge + len(self.met[-2]) / 100
        if self.habit == "sulks" and any(not data.startswith(b"edge") for data in self.met):
            return edge + 1
        return np.nan if self.habit == "is endless" else edge


class Packed(SourcePart):
    """Takes no compression off."""

    def found(self, name: str, data: bytes, nearest_order: bool = False) -> list[Found]:
        try:
            return list(self.read(Content(name, data, nearest_order)))
        except UnreadableFileError as error:
            return [Found(Failure.of(error))]


class Stamped(SourcePart):
    """Has a fingerprint of its turn."""

    turns = count()

    def identity(self) -> dict[str, Any]:
        return super().identity() | {"turn": next(self.turns)}


class Careless(SourcePart):
    """Takes any setting."""

    def build(self, settings: Any = None, **more: Any) -> Any:
        return self


def part(habit: str = "", kind: type[SourcePart] = SourcePart, **changes: Any) -> SourcePart:
    given = {"name": "edges", "summary": "Edges.", "licence": "MIT", "suffixes": (".edge",)}
    return kind(**(given | {"read": Edges(habit)} | changes))  # type: ignore[arg-type]


def contract(made: SourcePart, files: dict[str, bytes] | None = None) -> Callable[[str], None]:
    """A function that runs one test of the contract, fixtures and all."""

    def build(**more: Any) -> Any:
        return made.build(more)

    def run(test: str) -> None:
        function = getattr(SourceContract(), test)
        names = function.__code__.co_varnames[1 : function.__code__.co_argcount]
        fixtures = {"part": made, "build": build, "files": FILES if files is None else files}
        function(**{name: fixtures[name] for name in names})

    return run


TESTS = [name for name in dir(SourceContract) if name.startswith("test_")]
# A reader has no settings: SourcePart refuses them.
VACUOUS = {
    "test_the_fingerprint_changes_with_each_setting_that_matters",
    "test_the_settings_can_be_read_from_the_fingerprint",
}
BROKEN: list[tuple[str, SourcePart, dict[str, bytes] | None]] = [
    ("test_it_says_what_it_is", part(licence=" "), None),
    ("test_the_fingerprint_is_the_same_each_time", part(kind=Stamped), None),
    ("test_a_setting_that_it_does_not_have_is_refused", part(kind=Careless), None),
    ("test_it_recognises_its_files", part(), {"one.txt": b"edge 4.1\n"}),
    ("test_it_recognises_no_garbage", part(recognises=lambda head: "letter" in head), None),
    ("test_every_file_holds_structures", part("is endless"), None),
    ("test_every_file_holds_structures", part(), {}),
    ("test_the_same_file_has_the_same_structures", part("drifts"), None),
    ("test_order_does_not_matter", part("remembers"), None),
    ("test_compression_does_not_matter", part(kind=Packed), None),
    ("test_garbage_is_refused_in_words", part("reads all"), None),
    ("test_garbage_is_refused_in_words", part("says nothing"), None),
    ("test_garbage_is_refused_in_words", part("is silent"), None),
    ("test_one_failure_does_not_lose_the_others", part("sulks"), None),
    ("test_one_failure_does_not_lose_the_others", part("is silent"), None),
    ("test_memory_is_bounded", part("keeps"), None),
]


@pytest.mark.parametrize("test", TESTS)
def test_a_sound_reader_passes(test: str) -> None:
    contract(part(recognises=lambda head: head.startswith("edge ")))(test)


def test_every_test_of_the_contract_is_broken_below() -> None:
    assert {test for test, *_ in BROKEN} == set(TESTS) - VACUOUS


@pytest.mark.parametrize(("test", "made", "files"), BROKEN)
def test_a_reader_that_breaks_a_rule_fails_its_test(
    test: str, made: SourcePart, files: dict[str, bytes] | None
) -> None:
    if test == "test_memory_is_bounded" and not Path("/proc/self/statm").exists():
        pytest.skip("only Linux tells")
    fresh = replace(made, read=Edges(made.read.habit))  # type: ignore[attr-defined]
    with pytest.raises((AssertionError, ValueError, pytest.fail.Exception)):
        contract(fresh, files)(test)
    Edges.kept.clear()
