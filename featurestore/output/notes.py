"""What commands say beside their results: notes, counts, where a file was written."""

from __future__ import annotations

import sys

import click

from featurestore.output.terminal import is_quiet, logged


def note(text: str) -> None:
    """A line on standard error, which ``--quiet`` leaves out; a log file has it all the same."""
    if is_quiet():
        logged(text)
    else:
        click.echo(text, file=sys.stderr)
