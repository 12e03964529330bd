"""A text generator without a model, and the way to have worker processes use it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

import ingest.stages.text as stage
from featurestore.crystal import Crystal
from featurestore.failure import Failure
from ingest.text.base import GeneratorSpec, Sentence, TextPart


class FakeGenerator:
    """Two sentences on every crystal; the edge of the cell says what else happens."""

    spec = GeneratorSpec("fake", {"version": 1})

    def __init__(self, behaviour: dict[float, str] | None = None) -> None:
        self.behaviour = behaviour or {}

    def warm_up(self) -> None:
        """Nothing to load."""

    def describe(self, crystal: Crystal) -> list[Sentence]:
        edge = round(float(crystal.lattice[0, 0]), 6)
        match self.behaviour.get(edge):
            case "raise":
                raise ValueError(f"no words for {edge}")
            case "untold tag":
                return [Sentence("It is a cube.", "shape", ())]
            case "empty":
                return [Sentence(" ", "summary", ())]
            case "die":
                os._exit(9)
            case "hang":
                time.sleep(60)
        return [
            Sentence(f"The cell has an edge of {edge} Å.", "summary", ("summary",)),
            Sentence("It is a cube.", "other", ()),
        ]


def fake_part(fake: FakeGenerator | None = None) -> TextPart:
    """What a package would register for the fake."""
    return TextPart(
        name="fake",
        summary="Two sentences.",
        make=lambda request: fake or FakeGenerator(),
        tags=("summary", "other"),
        reference_tags=("summary",),
    )


def start_fake(behaviour: dict[float, str], *_: object) -> None:
    """Take the place of the stage's initializer in a worker."""
    stage._worker_generator = fake_part(), FakeGenerator(behaviour)


@dataclass(frozen=True)
class Here:
    """Take the place of `InWorkers`: the same results, in this process."""

    work: Any
    workers: int
    initializer: Any
    initargs: Any
    time_limit: float
    memory_limit: int
    pool: Any = None

    def run(self, items: Any) -> Any:
        self.initializer(*self.initargs)
        for key, item in items:
            try:
                yield key, self.work(item)
            except Exception as error:
                yield key, Failure.of(error)
