"""What a stage did, as counts that are printed and recorded with its run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from featurestore.failure import Failure

MOST_FAILURES = 10_000


@dataclass
class Outcome:
    """Counts of one stage; ``failures`` are those of this run, by item.

    Parameters
    ----------
    unit : str
        What is counted: "materials", "texts".
    written, present : int
        Items written by this run, and items that were in the store already.
    failed_before : int
        Items left out because they failed in an earlier run.
    failures : dict of str to Failure
        Items that failed in this run.
    notes : list of str
        Further lines for the summary.
    noted : int
        Items written with a note that stays with them.
    passed_over : dict of str to Failure
        Files that hold nothing of the kind, and why; no failures.
    beyond : Counter of str
        Failures of this run that are counted alone, by error; see `fail`.
    """

    unit: str
    written: int = 0
    present: int = 0
    failed_before: int = 0
    failures: dict[str, Failure] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    noted: int = 0
    passed_over: dict[str, Failure] = field(default_factory=dict)
    beyond: Counter[str] = field(default_factory=Counter)

    def fail(self, item: str, failure: Failure, place: str) -> None:
        """Count a failure; after `MOST_FAILURES` it has no name any more.

        A file of millions of rows must not fill memory, nor the table of failures. A second
        failure of an item is told from the first by its ``place``.
        """
        if len(self.failures) >= MOST_FAILURES:
            self.beyond[failure.error] += 1
            return
        if item in self.failures:
            item = f"{item} ({place})"
        self.failures[item] = failure

    def fail_all(self, error: str, places: Sequence[Any], make: Callable[[Any], None]) -> None:
        """Count failures of one error: ``make`` fails each place while there is room for names."""
        room = max(MOST_FAILURES - len(self.failures), 0)
        for place in places[:room]:
            make(place)
        if len(places) > room:
            self.beyond[error] += len(places) - room

    @property
    def failed(self) -> int:
        """How many failed in this run."""
        return len(self.failures) + self.beyond.total()

    def counts(self) -> dict[str, int]:
        """The counts as they are stored with the run."""
        return {
            "written": self.written,
            "present": self.present,
            "failed": self.failed,
            "failed_before": self.failed_before,
            "noted": self.noted,
            "not_structures": len(self.passed_over),
        }

    def joined(self, other: Outcome) -> Outcome:
        """Both outcomes in one."""
        return Outcome(
            unit=self.unit,
            written=self.written + other.written,
            present=self.present + other.present,
            failed_before=self.failed_before + other.failed_before,
            failures=self.failures | other.failures,
            notes=self.notes + other.notes,
            noted=self.noted + other.noted,
            passed_over=self.passed_over | other.passed_over,
            beyond=self.beyond + other.beyond,
        )

    @property
    def nothing_succeeded(self) -> bool:
        """Whether there were items and every one failed or was passed over."""
        return not self.written and not self.present and bool(self.failures or self.passed_over)

    def summary(self) -> list[str]:
        """Lines for people: counts, the commonest failures with an example, notes."""
        lines = [
            f"{self.unit}: {self.written:,} written, {self.present:,} already there, "
            f"{self.failed:,} failed"
        ]
        if self.failed_before:
            lines.append(
                f"  {self.failed_before:,} failed in an earlier run and were left out; "
                "--retry-failures tries them again"
            )
        grouped: dict[str, list[str]] = {}
        for item, failure in self.failures.items():
            grouped.setdefault(failure.error, []).append(item)
        for error, items in sorted(grouped.items(), key=lambda entry: -len(entry[1])):
            message = self.failures[items[0]].message
            count = len(items) + self.beyond[error]
            lines.append(f"  {count:,} × {error}, for example {items[0]}: {message}")
        lines += [f"  {n:,} × {error}" for error, n in self.beyond.items() if error not in grouped]
        if unnamed := self.beyond.total():
            lines.append(
                f"  the first {len(self.failures):,} are in the table failures, the other "
                f"{unnamed:,} are only counted"
            )
        passed: dict[str, list[str]] = {}
        for name, why in self.passed_over.items():
            reason = "" if why.error == "NotAStructure" else why.message
            passed.setdefault(reason, []).append(name)
        for reason, names in sorted(passed.items()):
            files = (
                "file is no structure file" if len(names) == 1 else "files are no structure files"
            )
            lines.append(
                f"  {len(names):,} {files}, for example {names[0]}{reason and f': {reason}'}"
            )
        return lines + [f"  {note}" for note in self.notes]
