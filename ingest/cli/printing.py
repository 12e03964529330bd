"""Prints what an ingesting function did, also where nothing of it succeeded."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ingest.recording import Ingested


def print_ingested(call: Callable[[], Ingested]) -> None:
    """Print the summary of what ``call`` does.

    Raises
    ------
    NothingSucceededError
        As the call does, after its summary.
    """
    from ingest.recording import NothingSucceededError

    try:
        result = call()
    except NothingSucceededError as nothing:
        _print(nothing.result)
        raise
    _print(result)


def _print(result: Ingested) -> None:
    for line in result.summary():
        click.echo(line)
