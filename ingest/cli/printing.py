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
    IncompleteError
        As the call does, after its summary.
    """
    from ingest.recording import IncompleteError

    try:
        result = call()
    except IncompleteError as incomplete:
        _print(incomplete.result)
        raise
    _print(result)


def _print(result: Ingested) -> None:
    for line in result.summary():
        click.echo(line)
