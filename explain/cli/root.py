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


explain.add_command(tags)
explain.add_command(segments)
explain.add_command(words)
explain.add_command(report)
