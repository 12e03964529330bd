"""``featurestore ingest text``: descriptions in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from featurestore.cli.options import CONTEXT, store_option
from ingest.cli.options import retry_option, selection_options, workers_options
from ingest.cli.recorded import recorded, report

if TYPE_CHECKING:
    from ingest.stages.selection import Selection


@click.command(context_settings=CONTEXT)
@click.option("--source", required=True, metavar="SOURCE", help="robocrystallographer or chemnlp.")
@click.option(
    "--oxidation-states",
    type=click.Choice(["none", "guessed"]),
    default="none",
    show_default=True,
    help="Whether Robocrystallographer names them; 'guessed' is a generator of its own.",
)
@selection_options
@workers_options("structure")
@click.option(
    "--worker-memory",
    type=click.FloatRange(min=0.1),
    metavar="GIB",
    help="Memory that a process may take; a structure that needs more counts as failed. Default: "
    "all together four fifths of the machine's.",
)
@retry_option
@store_option
def text(
    source: str,
    oxidation_states: str,
    selection: Selection,
    workers: int | None,
    time_limit: float,
    worker_memory: float | None,
    retry_failures: bool,
    store_uri: str,
) -> None:
    """Describe structures in sentences, each with a tag.

    \b
    Example:
      featurestore ingest text --source robocrystallographer --property Tc_supercon
    """
    from featurestore.machine.workers import cpu_count
    from ingest.stages.text import ingest_text

    with recorded(store_uri, "text") as (store, run):
        outcome = ingest_text(
            store,
            source,
            guess_oxidation_states=oxidation_states == "guessed",
            selection=selection,
            workers=workers or cpu_count(),
            time_limit=time_limit,
            memory_limit=None if worker_memory is None else int(worker_memory * 2**30),
            retry_failures=retry_failures,
            run=run,
        )
        report(run, outcome)
