"""What could not be predicted, as commands say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from featurestore.failure import Failure

#: Items of one reason that are named; the others are counted.
_NAMED = 10


def print_failures(failures: Mapping[str, Failure], passed_over: Mapping[str, Failure]) -> None:
    """What has no forecast by the reason, ten of each named, with the message of the first."""
    grouped: dict[str, list[str]] = {}
    for item, failure in failures.items():
        grouped.setdefault(failure.error, []).append(item)
    for error, items in sorted(grouped.items(), key=lambda entry: -len(entry[1])):
        message = failures[items[0]].message
        others = _named(items[1:_NAMED], len(items) - 1)
        click.echo(f"Failed: {len(items):,} × {error}, {items[0]}: {message}{others}", err=True)
    if passed_over:
        names = list(passed_over)
        others = _named(names[1:_NAMED], len(names) - 1)
        click.echo(f"Passed over: {len(names):,} × no structure file, {names[0]}{others}", err=True)


def _named(items: Sequence[str], number: int) -> str:
    if not number:
        return ""
    more = f" and {number - len(items):,} more" if number > len(items) else ""
    return f"; likewise {', '.join(items)}{more}"
