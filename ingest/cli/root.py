"""``featurestore ingest``: everything that writes structures, splits, texts and vectors."""

from __future__ import annotations

import click

from featurestore.cli.options import CONTEXT
from ingest.cli.duplicates import duplicates
from ingest.cli.embeddings import embeddings
from ingest.cli.providers import mp, optimade
from ingest.cli.splits import splits
from ingest.cli.structures import jarvis, sample, structures
from ingest.cli.tables import table
from ingest.cli.targets import targets
from ingest.cli.text import text
from ingest.cli.vectors import vectors


@click.group(context_settings=CONTEXT)
def ingest() -> None:
    """Put structures, splits, texts and embeddings into the store.

    Every command writes what is missing and nothing else: run it again after an interruption, or
    after new materials have come.
    """


for command in (
    *(structures, jarvis, sample, table, optimade, mp, targets),
    *(splits, duplicates, text, embeddings, vectors),
):
    ingest.add_command(command)
