"""Checks and symmetry of many structures, on all processors: spglib takes nearly all the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from featurestore.crystal import Crystal
from featurestore.errors import FeatureStoreError
from featurestore.failure import Failure
from featurestore.machine.pool import Pool
from ingest.structures.checks import check_structure
from ingest.structures.symmetry import Symmetry, symmetry

# Below this number starting the workers takes longer than they save.
_ENOUGH_FOR_WORKERS = 400
_STRUCTURES_A_TASK = 25
_SECONDS_A_TASK = 300.0

LARGE_CELL = 500  # atoms
SECONDS_A_LARGE_CELL = 60.0


@dataclass(frozen=True)
class Analysis:
    """The symmetry of a structure that passes `check_structure`, and what was odd about it."""

    symmetry: Symmetry
    notes: tuple[str, ...]


def analyse(crystal: Crystal) -> Analysis | Failure:
    """Check a structure and find its symmetry, or why there is none."""
    try:
        notes = check_structure(crystal)
        return Analysis(symmetry(crystal), notes)
    except FeatureStoreError as error:
        return Failure.of(error)


def analyse_all(crystals: Sequence[Crystal], pool: Pool) -> list[Analysis | Failure]:
    """`analyse` of each structure, in order; large numbers and large cells go to the pool.

    spglib takes minutes for a large cell that is nearly symmetric, and no signal stops it: each has
    a process and `SECONDS_A_LARGE_CELL` of its own.
    """
    large = {number: one for number, one in enumerate(crystals) if one.n_atoms > LARGE_CELL}
    small = [one for number, one in enumerate(crystals) if number not in large]
    found = iter(_analyse_small(small, pool))
    slow = dict(pool.run(analyse, large.items(), SECONDS_A_LARGE_CELL))
    for number, result in slow.items():
        if isinstance(result, Failure) and result.error == "TimeLimit":
            n_atoms = large[number].n_atoms
            slow[number] = Failure(
                "TimeLimit", f"finding the symmetry of its {n_atoms:,} atoms {result.message}"
            )
    return [slow[number] if number in large else next(found) for number in range(len(crystals))]


def _analyse_small(crystals: Sequence[Crystal], pool: Pool) -> list[Analysis | Failure]:
    if len(crystals) < _ENOUGH_FOR_WORKERS:
        return [analyse(crystal) for crystal in crystals]
    tasks = {
        first: crystals[first : first + _STRUCTURES_A_TASK]
        for first in range(0, len(crystals), _STRUCTURES_A_TASK)
    }
    results = dict(pool.run(_analyse_task, tasks.items(), _SECONDS_A_TASK))
    ordered: list[Analysis | Failure] = []
    for first, task in tasks.items():
        result = results[first]
        if isinstance(result, Failure):
            # One structure took the worker or the time of the whole task.
            singly = dict(pool.run(analyse, enumerate(task), _SECONDS_A_TASK))
            result = [singly[number] for number in range(len(task))]
        ordered += result
    return ordered


def _analyse_task(crystals: Sequence[Crystal]) -> list[Analysis | Failure]:
    return [analyse(crystal) for crystal in crystals]
