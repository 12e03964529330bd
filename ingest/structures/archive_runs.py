"""Brings the structures of an archive and the VASP runs beside them together, as in a folder."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ingest.structures.files import Unit
from ingest.structures.opening import HEAD, LARGEST_FILE
from ingest.structures.readers.registry import readers_of_name
from ingest.structures.readers.vasp_results import RunFile, runs_beside

MOST_HELD = 512 << 20  # bytes of members that wait for others


class RunsBeside:
    """Structures of an archive wait for their runs, and runs for structures still to come.

    Parameters
    ----------
    names : sequence of str
        Of the members, in the order in which they come.
    """

    def __init__(self, names: Sequence[str]) -> None:
        times = Counter(names)
        self._run_of = {name: run for name in times if (run := _beside(name, times))}
        self._twice = {name for name, number in times.items() if number > 1}
        # structures still to come, by their runs
        self._to_come = Counter(self._run_of[name] for name in names if name in self._run_of)
        self._runs: dict[str, RunFile] = {}
        self._waiting: dict[str, list[Unit]] = defaultdict(list)
        self._held = 0

    def is_run(self, name: str) -> bool:
        """Whether a member is the run of a structure of the archive."""
        return name in self._to_come

    def come(self, name: str, member: Unit) -> Iterator[Unit]:
        """What can be read now that a member has come: not a structure that waits for its run."""
        if self.is_run(name):
            yield from self._run(name, member)
        elif name in self._run_of:
            yield from self._structure(name, member)
        else:
            yield member

    def _structure(self, name: str, member: Unit) -> Iterator[Unit]:
        run = self._run_of[name]
        self._to_come[run] -= 1
        if run in self._runs:
            yield replace(member, beside=self._runs[run])
            if not self._to_come[run]:
                self._held -= len(self._runs.pop(run).data or b"")
        elif self._room(member.data):
            self._waiting[run].append(member)
        else:
            yield replace(member, beside=_too_far(run))

    def _run(self, name: str, member: Unit) -> Iterator[Unit]:
        last = name.rpartition("/")[2]
        if name in self._twice:
            run = RunFile(last, refused="the archive has it more than once")
        elif member.refused is not None:
            run = RunFile(last, refused=member.refused.message)
        elif member.cut:
            run = RunFile(last, refused=f"it has more than {LARGEST_FILE:,} bytes, unpacked")
        else:
            run = RunFile(last, data=member.data)
        for structure in self._waiting.pop(name, ()):
            self._held -= len(structure.data or b"")
            yield replace(structure, beside=run)
        if self._to_come[name]:
            self._runs[name] = run if self._room(run.data) else _too_far(name)
        yield _of_its_own(member)

    def rest(self) -> Iterator[Unit]:
        """The structures that still wait, where an archive ends too early."""
        for run, structures in self._waiting.items():
            last = run.rpartition("/")[2]
            for structure in structures:
                yield replace(structure, beside=RunFile(last, refused="the archive is cut off"))
        self._waiting.clear()

    def _room(self, data: bytes | None) -> bool:
        size = len(data or b"")
        if self._held + size > MOST_HELD:
            return False
        self._held += size
        return True


def _beside(name: str, names: Counter[str]) -> str | None:
    folder, slash, last = name.rpartition("/")
    runs = (f"{folder}{slash}{run}" for run in runs_beside(last))
    return next((run for run in runs if run in names), None)


def _too_far(run: str) -> RunFile:
    return RunFile(
        run.rpartition("/")[2],
        refused="it stands too far from its structure in the archive to be kept until then; unpack "
        "the archive",
    )


def _of_its_own(member: Unit) -> Unit:
    """A run as a member like others: the beginning is enough of one that no reader is for."""
    data = member.data or b""
    if len(data) <= HEAD or readers_of_name(member.name):
        return member
    return replace(member, data=data[:HEAD], cut=True)
