"""``featurestore ingest optimade`` and ``mp``: other people's databases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from featurestore.cli.options import CONTEXT, Command, store_option, together
from ingest.cli.options import ordered_option, registry_option
from ingest.cli.printing import print_ingested


def taking_options(field: str) -> Callable[[Command], Command]:
    """The options of commands that take somebody's fields as targets; ``field`` is an example."""
    return together(
        click.option(
            "--column",
            "columns",
            multiple=True,
            metavar="FIELD=PROPERTY",
            help=f"Take a field as targets, for example {field}; FIELD=NAME:UNIT makes a property "
            "of your own (may be repeated).",
        ),
        click.option("--limit", type=click.IntRange(1), help="Most entries to read."),
        click.option(
            "--dataset",
            help="Name recorded for the data set and as the source of its targets. Default: that "
            "of the source.",
        ),
        registry_option,
        click.option(
            "--replace",
            is_flag=True,
            help="Replace materials and targets stored with other content.",
        ),
        ordered_option,
    )


@click.command(context_settings=CONTEXT)
@click.argument("provider")
@click.option(
    "--filter",
    "condition",
    default="",
    metavar="FILTER",
    help="OPTIMADE filter of the structures. Default: all of them.",
)
@taking_options("_oqmd_delta_e=formation_energy_peratom")
@click.option(
    "--page-limit",
    default=100,
    show_default=True,
    type=click.IntRange(1),
    help="Structures a request.",
)
@click.option("--prefix", help="What ids begin with. Default: the provider's short name.")
@click.option(
    "--from-start", is_flag=True, help="Begin with the first page, whatever an earlier run did."
)
@click.option(
    "--pause",
    default=0.5,
    show_default=True,
    type=click.FloatRange(0.0),
    help="Seconds between requests.",
)
@store_option
def optimade(
    provider: str,
    condition: str,
    columns: tuple[str, ...],
    limit: int | None,
    dataset: str | None,
    registries: tuple[Path, ...],
    replace: bool,
    ordered: str | None,
    page_limit: int,
    prefix: str | None,
    from_start: bool,
    pause: float,
    store_uri: str,
) -> None:
    """Read structures from the OPTIMADE database PROVIDER.

    PROVIDER is a registered name (mp, oqmd, alexandria, cod, nomad, …), one of its databases
    (alexandria/alexandria-pbe), or the base address of a database. The same command goes on where
    an earlier run stopped.

    \b
    Example:
      featurestore ingest optimade oqmd --filter 'elements HAS "Te" AND nelements=2' --limit 500
    """
    from featurestore.store import FeatureStore
    from ingest.library.providers import add_optimade

    store = FeatureStore.open(store_uri, create=True)
    print_ingested(
        lambda: add_optimade(
            store,
            provider,
            condition,
            columns=columns,
            limit=limit,
            page_limit=page_limit,
            prefix=prefix,
            dataset=dataset,
            property_registries=registries,
            replace=replace,
            ordered=ordered,
            from_start=from_start,
            pause=pause,
        )
    )


@click.command(context_settings=CONTEXT)
@click.option(
    "--where",
    "conditions",
    multiple=True,
    required=True,
    metavar="NAME=VALUE",
    help="Condition of mp-api's summary search: elements=Te, band_gap=0.5..2, is_stable=true (may "
    "be repeated; all must hold).",
)
@taking_options("formation_energy_per_atom=formation_energy_peratom")
@store_option
def mp(
    conditions: tuple[str, ...],
    columns: tuple[str, ...],
    limit: int | None,
    dataset: str | None,
    registries: tuple[Path, ...],
    replace: bool,
    ordered: str | None,
    store_uri: str,
) -> None:
    """Read materials of the Materials Project, with the key in MP_API_KEY.

    The key is sent to the server alone: it is not stored, printed or recorded. What is in the
    store already is not asked for again.

    \b
    Example:
      featurestore ingest mp --where elements=Te --where num_elements=2
    """
    from featurestore.store import FeatureStore
    from ingest.library.providers import add_mp

    store = FeatureStore.open(store_uri, create=True)
    print_ingested(
        lambda: add_mp(
            store,
            conditions,
            columns=columns,
            limit=limit,
            dataset=dataset,
            property_registries=registries,
            replace=replace,
            ordered=ordered,
        )
    )
