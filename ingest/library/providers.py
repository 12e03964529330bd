"""Structures and targets of other people's databases, over the network."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from featurestore.identity import fingerprint
from featurestore.store import FeatureStore
from ingest.library.storing import Ended, check_limits, check_order, stored
from ingest.library.targets import taken_fields
from ingest.providers import materials_project
from ingest.providers.columns import check_columns
from ingest.providers.http import PAUSE, PoliteClient, same_server
from ingest.providers.materials_project import MaterialsProject, parse_conditions
from ingest.providers.optimade.databases import find_database
from ingest.providers.optimade.pages import check_filter, first_place
from ingest.providers.optimade.reading import COMMAND, Reading, where_it_stopped
from ingest.recording import Ingested, recorded


def add_optimade(
    store: FeatureStore,
    provider: str,
    filter: str = "",
    *,
    columns: Sequence[str] = (),
    limit: int | None = None,
    page_limit: int | None = 100,
    prefix: str | None = None,
    dataset: str | None = None,
    property_registries: Sequence[str | Path] = (),
    replace: bool = False,
    ordered: str | None = None,
    from_start: bool = False,
    pause: float = PAUSE,
) -> Ingested:
    """Read the structures of an OPTIMADE database for which a filter holds.

    The same call goes on where an earlier one stopped: by an error, by Ctrl-C, by a kill, or at
    its ``limit``.

    Parameters
    ----------
    store : FeatureStore
        Written to.
    provider : str
        A registered provider (``mp``, ``oqmd``, ``alexandria/alexandria-pbe``, ``cod``, ``nomad``)
        or the base address of a database.
    filter : str
        An OPTIMADE filter; by default all structures.
    columns : sequence of str
        Fields of the provider's that are taken as targets, each ``FIELD=PROPERTY``, or
        ``FIELD=NAME:UNIT`` for a property of one's own, which the store knows from then on.
    limit : int, optional
        Most entries of the answer, those of earlier runs counted.
    page_limit : int, optional
        Entries a page; a server that does not want that many chooses itself.
    prefix : str, optional
        What ids begin with; by default the provider's short name.
    dataset : str, optional
        Name recorded for the data set, and as the targets' source; by default the prefix.
    property_registries : sequence of path
        TOML files with further properties, their units and ranges.
    replace : bool
        Whether materials and targets that are stored with other content are replaced.
    ordered : {"nearest"}, optional
        How disordered structures are ordered; by default they are refused.
    from_start : bool
        Whether to begin with the first page whatever an earlier run did.
    pause : float
        Seconds between requests.

    Raises
    ------
    InvalidInputError, UnknownNameError
        If the provider, filter or columns cannot be used.
    ProviderError
        If the provider does not answer, before anything came.
    IncompleteError
        If it stopped answering; what came before is stored.
    """
    check_limits(limit, page_limit)
    check_order(ordered)
    registry, taken = taken_fields(store, columns, property_registries)
    if filter.strip():
        check_filter(filter)
    with PoliteClient(pause=pause) as client:
        database = find_database(client, provider, prefix)
        notes = check_columns(
            taken, database.properties, database.unit, registry, database.meta.provider or provider
        )
        first = first_place(database, filter, list(taken), page_limit)
        name = dataset or database.name
        question = fingerprint(
            {
                "first": first.url,
                "columns": taken,
                "ids": database.name,
                "dataset": name,
                "ordered": ordered,
            }
        )
        earlier = None if from_start else where_it_stopped(store, question)
        if earlier is not None and not same_server(first.url, earlier[0].url):
            earlier = None  # a store may be a stranger's: what it says chooses no server
        if earlier is not None and earlier[0] != first:
            notes.append(
                f"goes on after {earlier[0].entries:,} entries, where run {earlier[1]} stopped"
            )
        arguments = {
            "provider": provider,
            "filter": filter,
            "columns": tuple(columns),
            "limit": limit,
            "page_limit": page_limit,
            "prefix": prefix,
            "dataset": dataset,
            "registries": tuple(map(Path, property_registries)),
            "replace": replace,
            "ordered": ordered,
            "from_start": from_start,
        }
        with recorded(store, COMMAND, arguments) as run:
            reading = Reading(
                client=client,
                database=database,
                question=question,
                first=first,
                fewer=first_place(database, filter, list(taken), None),
                start=earlier[0] if earlier else first,
                columns=taken,
                limit=limit,
                nearest_order=ordered is not None,
                keep=run.keep,
                notes=notes,
            )
            return stored(
                store,
                run,
                reading.records(),
                dataset=name,
                registry=registry,
                replace=replace,
                notes=notes,
                written=reading.written,
                stopped=lambda: reading.stopped,
            )


def add_mp(
    store: FeatureStore,
    where: Sequence[str],
    *,
    columns: Sequence[str] = (),
    limit: int | None = None,
    dataset: str | None = None,
    property_registries: Sequence[str | Path] = (),
    replace: bool = False,
    ordered: str | None = None,
    endpoint: str | None = None,
) -> Ingested:
    """Read materials of the Materials Project, with the key in the environment (MP_API_KEY).

    What is in the store with its targets is not asked for again.

    Parameters
    ----------
    store : FeatureStore
        Written to.
    where : sequence of str
        Conditions of mp-api's summary search, each ``NAME=VALUE``: ``elements=Te``,
        ``band_gap=0.5..2``, ``is_stable=true``. All must hold.
    columns : sequence of str
        Fields that are taken as targets, each ``FIELD=PROPERTY``, or
        ``FIELD=NAME:UNIT`` for a property of one's own, which the store knows from then on.
    limit : int, optional
        Most materials, the first by their ids.
    dataset, property_registries, replace, ordered
        As for `add_optimade`; the data set is ``mp`` by default.
    endpoint : str, optional
        Another server of the same form.

    Raises
    ------
    InvalidInputError, UnknownNameError
        If there is no key, or conditions or columns cannot be used.
    ProviderError
        If the server refuses the key or does not answer, before anything came.
    IncompleteError
        If it stopped answering; what came before is stored.
    """
    check_limits(limit)
    check_order(ordered)
    registry, taken = taken_fields(store, columns, property_registries)
    conditions = parse_conditions(where)
    project = MaterialsProject(endpoint)
    notes = check_columns(
        taken, project.fields, lambda field: "", registry, "the Materials Project"
    )
    name = dataset or materials_project.NAME
    arguments = {
        "where": tuple(where),
        "columns": tuple(columns),
        "limit": limit,
        "dataset": dataset,
        "registries": tuple(map(Path, property_registries)),
        "replace": replace,
        "ordered": ordered,
        "endpoint": endpoint,
    }
    with recorded(store, "mp", arguments) as run:
        run.keep(
            {
                "provider": "The Materials Project",
                "implementation": f"mp-api {metadata.version('mp-api')}",
                "database_version": project.database_version,
                "url": project.url,
            }
        )
        names = project.ids(conditions)[:limit]
        there = set() if replace else _whole(store, list(taken.values()), name)
        lacking = [one for one in names if materials_project.material_id(one) not in there]
        ended = Ended()
        return stored(
            store,
            run,
            ended.up_to_an_error(project.records(lacking, taken, ordered is not None)),
            dataset=name,
            registry=registry,
            replace=replace,
            notes=notes,
            stopped=lambda: ended.error,
            present=len(names) - len(lacking),
        )


def _whole(store: FeatureStore, properties: Sequence[str], source: str) -> set[str]:
    """The ids of materials that are stored with a target of this source for each property."""
    with store.session() as session:
        rows = session.query(
            "SELECT material_id FROM materials WHERE dataset = ? AND "
            "(SELECT count(DISTINCT property) FROM properties WHERE source = ? AND "
            "list_contains(?, property) AND properties.material_id = materials.material_id) = ?",
            [source, source, list(properties), len(properties)],
        )
    return set(rows["material_id"].to_pylist())
