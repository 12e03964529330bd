"""What every ingesting command does: open the store, record the run, print what came of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featurestore.errors import FeatureStoreError, InvalidInputError
from featurestore.files import check_regular

if TYPE_CHECKING:
    from featurestore.store import FeatureStore
    from featurestore.tables.runs import Run
    from ingest.pipeline.outcome import Outcome


#: Environment variable: "relative" records source files without the folders above what they share.
PATHS = "FEATURESTORE_RECORD_PATHS"
_MOST_BYTES = 2**42


class NothingSucceededError(FeatureStoreError):
    """Every item that a command was given has failed."""


@contextmanager
def recorded(
    store_uri: str, command: str, create: bool = False, files: Sequence[Path] = ()
) -> Iterator[tuple[FeatureStore, Run]]:
    """The store and a recorded run: the present command's arguments, its source files' hashes."""
    from featurestore.store import FeatureStore

    store = FeatureStore.open(store_uri, create=create)
    shown = _names_of_paths(click.get_current_context().params.values(), files)
    arguments = {
        name: _as_json(value, shown)
        for name, value in click.get_current_context().params.items()
        if value is not None and value is not False and value != () and name != "store_uri"
    }
    if files:
        arguments["source_sha256"] = {shown[str(path)]: _file_sha256(path) for path in files}
    with store.run(f"ingest {command}", arguments) as run:
        yield store, run


def _file_sha256(path: Path) -> str:
    from hashlib import file_digest

    check_regular(path, _MOST_BYTES)
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InvalidInputError(f"cannot read {path}: {error}") from error


def _names_of_paths(values: Iterable[Any], files: Sequence[Path]) -> dict[str, str]:
    """How each path is recorded: as it was given, or on request from the folder they share."""
    given: list[Any] = list(files)
    for value in values:
        given += value if isinstance(value, tuple) else [value]
    paths = {
        str(one)
        for one in given
        if isinstance(one, Path) or (isinstance(one, str) and os.sep in one and Path(one).exists())
    }
    if os.environ.get(PATHS) != "relative" or not paths:
        return {path: path for path in paths}
    shared = os.path.commonpath([Path(path).absolute().parent for path in paths])
    return {path: str(Path(path).absolute().relative_to(shared)) for path in paths}


def _as_json(value: Any, shown: Mapping[str, str]) -> Any:
    if isinstance(value, tuple):
        return [_as_json(item, shown) for item in value]
    if isinstance(value, bool | int | float):
        return value
    return shown.get(str(value), str(value))


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
    for outcome in outcomes:
        for line in outcome.summary():
            click.echo(line)
    if outcomes[0].nothing_succeeded:
        raise NothingSucceededError(
            f"none of the {len(outcomes[0].failures):,} {outcomes[0].unit} succeeded"
        )
