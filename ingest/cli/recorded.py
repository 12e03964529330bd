"""What every ingesting command does: open the store, record the run, print what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featurestore.errors import FeatureStoreError

if TYPE_CHECKING:
    from featurestore.store import FeatureStore
    from featurestore.tables.runs import Run
    from ingest.pipeline.outcome import Outcome


class NothingSucceededError(FeatureStoreError):
    """Every item that a command was given has failed."""


@contextmanager
def recorded(
    store_uri: str, command: str, create: bool = False, files: Sequence[Path] = ()
) -> Iterator[tuple[FeatureStore, Run]]:
    """The store and a recorded run: the present command's arguments, its source files' hashes."""
    from featurestore.store import FeatureStore
    from ingest.structures.opening import shown

    store = FeatureStore.open(store_uri, create=create)
    arguments = {
        name: _as_json(value)
        for name, value in click.get_current_context().params.items()
        if value is not None and value is not False and value != () and name != "store_uri"
    }
    if files:
        arguments["source_sha256"] = {shown(path): _file_sha256(path) for path in files}
    with store.run(f"ingest {command}", arguments) as run:
        yield store, run


def _file_sha256(path: Path) -> str:
    """The hash of a regular file; of another, or one that cannot be read, why there is none."""
    from hashlib import file_digest

    from ingest.structures.opening import open_regular
    from ingest.structures.refusals import LimitError

    try:
        with open_regular(path) as file:
            return file_digest(file, "sha256").hexdigest()
    except (OSError, LimitError) as error:
        return f"not read: {error}"  # one such file of a folder is a failure, not the run's end


def _as_json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_as_json(item) for item in value]
    if isinstance(value, bool | int | float):
        return value
    # other bytes than UTF-8 in a path are shown
    return str(value).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def report(run: Run, *outcomes: Outcome) -> None:
    """Print the summaries.

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
    first = outcomes[0]
    for outcome in outcomes:
        for line in outcome.summary():
            click.echo(line)
    if first.nothing_succeeded:
        raise NothingSucceededError(
            f"none of the {len(first.failures):,} {first.unit} succeeded"
            if first.failures
            else f"none of the {len(first.passed_over):,} files is a structure file"
        )
