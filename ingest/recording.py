"""What every ingesting function does: record its run, count what came of it, give it back."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

import pyarrow as pa

from featurestore.configuration.reading import read_configuration
from featurestore.errors import FeatureStoreError
from featurestore.output.display import Showing, Shown
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from ingest.pipeline.outcome import Outcome
from ingest.structures.opening import open_regular, shown
from ingest.structures.refusals import LimitError


@dataclass(frozen=True, repr=False)
class Ingested(Shown):
    """What an ingesting function did.

    Parameters
    ----------
    run_id : str
        The run on record.
    outcomes : tuple of Outcome
        Of each kind of thing that was written.
    made : str or None
        Id of the encoder or generator whose rows these are.
    """

    run_id: str
    outcomes: tuple[Outcome, ...]
    made: str | None = None

    @property
    def written(self) -> int:
        """Things of the first kind that were written by this run."""
        return self.outcomes[0].written

    @property
    def failures(self) -> pa.Table:
        """item, error and message of everything that failed in this run."""
        failed = [item for outcome in self.outcomes for item in outcome.failures.items()]
        columns = {
            "item": [name for name, _ in failed],
            "error": [failure.error for _, failure in failed],
            "message": [failure.message for _, failure in failed],
        }
        return pa.table({name: pa.array(cells, pa.string()) for name, cells in columns.items()})

    def summary(self) -> list[str]:
        """Lines for people."""
        return [line for outcome in self.outcomes for line in outcome.summary()]

    def showing(self) -> Showing:
        """The summary, and the first failures."""
        first, *others = self.summary()
        failures = self.failures
        return Showing(first, {}, failures if failures.num_rows else None, tuple(others))


class IncompleteError(FeatureStoreError):
    """A function did less than it was asked to.

    Parameters
    ----------
    message : str
    result : Ingested
        What it did all the same.
    """

    def __init__(self, message: str, result: Ingested) -> None:
        self.result = result
        super().__init__(message)


class NothingSucceededError(IncompleteError):
    """Every item that a function was given has failed.

    Parameters
    ----------
    result : Ingested
        What it did all the same.
    """

    def __init__(self, result: Ingested) -> None:
        first = result.outcomes[0]
        super().__init__(
            f"none of the {first.failed:,} {first.unit} succeeded"
            if first.failures
            else f"none of the {len(first.passed_over):,} files is a structure file",
            result,
        )
        self.add_note("\n".join(result.summary()))


@contextmanager
def recorded(
    store: FeatureStore, command: str, arguments: Mapping[str, Any], files: Sequence[Path] = ()
) -> Iterator[Run]:
    """A recorded run with the arguments that say something, and the hashes of its source files."""
    names = _names_of_paths(arguments.values(), files)
    said = {
        name: _as_json(value, names)
        for name, value in arguments.items()
        if value is not None and value is not False and value != ()
    }
    if files:
        said["source_sha256"] = {
            shown(Path(names[str(path)])): _file_sha256(path) for path in files
        }
    with store.run(f"ingest {command}", said) as run:
        yield run


def ingested(run: Run, *outcomes: Outcome, made: str | None = None) -> Ingested:
    """What a run did; its counts are put on record.

    Raises
    ------
    NothingSucceededError
        If there was something to do and all of it failed.
    """
    run.counts = {
        f"{name} {outcome.unit}" if len(outcomes) > 1 else name: count
        for outcome in outcomes
        for name, count in outcome.counts().items()
        if count
    }
    result = Ingested(run.run_id, outcomes, made)
    if outcomes[0].nothing_succeeded:
        raise NothingSucceededError(result)
    return result


def _file_sha256(path: Path) -> str:
    """The hash of a regular file; of another, or one that cannot be read, why there is none."""
    try:
        with open_regular(path) as file:
            return file_digest(file, "sha256").hexdigest()
    except (OSError, LimitError) as error:
        return f"not read: {error}"  # one such file of a folder is a failure, not the run's end


def _names_of_paths(values: Iterable[Any], files: Sequence[Path]) -> dict[str, str]:
    """How each path is recorded: as it was given, or on request from the folder they share."""
    given: list[Any] = list(files)
    for value in values:
        given += value if isinstance(value, tuple | list) else [value]
    paths = {
        str(one)
        for one in given
        if isinstance(one, Path) or (isinstance(one, str) and os.sep in one and os.path.exists(one))  # noqa: PTH110
    }
    if not paths or read_configuration().get("record-paths") != "relative":
        return {path: path for path in paths}
    shared = os.path.commonpath([Path(path).absolute().parent for path in paths])
    return {path: str(Path(path).absolute().relative_to(shared)) for path in paths}


def _as_json(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, tuple | list):
        return [_as_json(item, names) for item in value]
    if isinstance(value, bool | int | float):
        return value
    text = names.get(str(value), str(value))
    # other bytes than UTF-8 in a path are shown
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
