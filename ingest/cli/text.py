"""``featurestore ingest text``: descriptions in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from featurestore.cli.options import CONTEXT, cluster_options, set_option, store_option
from ingest.cli.options import retry_option, selection_options, workers_options
from ingest.cli.printing import print_ingested

if TYPE_CHECKING:
    from ingest.stages.selection import Selection


@click.command(context_settings=CONTEXT)
@click.option(
    "--text",
    "--source",
    "source",
    required=True,
    metavar="SOURCE",
    help="robocrystallographer, chemnlp or one that a package adds: 'featurestore parts texts'.",
)
@click.option(
    "--oxidation-states",
    type=click.Choice(["none", "guessed"]),
    default="none",
    show_default=True,
    help="Whether Robocrystallographer names them; 'guessed' is a generator of its own.",
)
@set_option("texts")
@selection_options
@workers_options("structure")
@click.option(
    "--worker-memory",
    type=click.FloatRange(min=0.1),
    metavar="GIB",
    help="Memory that a process may take; a structure that needs more counts as failed. Default: "
    "all together four fifths of the machine's.",
)
@cluster_options
@retry_option
@store_option
def text(
    source: str,
    oxidation_states: str,
    settings: tuple[str, ...],
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
      featurestore ingest text --text robocrystallographer --property Tc_supercon
    """
    from featurestore.plugins import parse_settings
    from featurestore.store import FeatureStore
    from ingest.library.text import describe
    from ingest.text.registry import text_part

    given = ["guess_oxidation_states=true"] if oxidation_states == "guessed" else []
    chosen = parse_settings(text_part(source), [*given, *settings])
    store = FeatureStore.open(store_uri)
    print_ingested(
        lambda: describe(
            store,
            source,
            selection,
            settings=chosen,
            workers=workers,
            time_limit=time_limit,
            worker_memory=worker_memory,
            retry_failures=retry_failures,
        )
    )
