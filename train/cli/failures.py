"""What could not be predicted, as commands say it."""

from __future__ import annotations

from collections.abc import Mapping

import click

from featurestore.failure import Failure


def print_failures(failures: Mapping[str, Failure], passed_over: Mapping[str, Failure]) -> None:
    """What has no forecast, counted by the reason, with an example each."""
    grouped: dict[str, list[str]] = {}
    for item, failure in failures.items():
        grouped.setdefault(failure.error, []).append(item)
    for error, items in sorted(grouped.items(), key=lambda entry: -len(entry[1])):
        message = failures[items[0]].message
        click.echo(f"Failed: {len(items):,} × {error}, for example {items[0]}: {message}", err=True)
    if passed_over:
        number, example = len(passed_over), next(iter(passed_over))
        click.echo(f"Passed over: {number:,} × no structure file, for example {example}", err=True)
