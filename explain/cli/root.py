"""``featurestore explain``: which part of a text, and of a structure, a model relies on."""

from __future__ import annotations

import click

from explain.cli.report import report
from explain.cli.segments import segments
from explain.cli.tags import tags
from explain.cli.words import words
from featurestore.cli.options import CONTEXT


@click.group(context_settings=CONTEXT)
def explain() -> None:
    """Say which part of a text, and of a structure, a model relies on."""


for command in (tags, segments, words, report):
    explain.add_command(command)
