"""``featurestore explain``: which part of a text, and of a structure, a model relies on."""

from __future__ import annotations

import click

from explain.model_cli import report, segments, words
from explain.tags_cli import tags
from featurestore.cli.options import CONTEXT


@click.group(context_settings=CONTEXT)
def explain() -> None:
    """Say which part of a text, and of a structure, a model relies on."""


explain.add_command(tags)
explain.add_command(segments)
explain.add_command(words)
explain.add_command(report)
