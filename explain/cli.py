"""``featurestore explain``: which part of a text a model relies on."""

from __future__ import annotations

import click

from explain.tags_cli import tags
from featurestore.cli.options import CONTEXT


@click.group(context_settings=CONTEXT)
def explain() -> None:
    """Say which part of a text a model relies on."""


explain.add_command(tags)
