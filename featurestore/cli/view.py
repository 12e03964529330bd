"""``featurestore view``: the training view of a property, its fingerprint and its SQL."""

from __future__ import annotations

from pathlib import Path

import click

from featurestore.cli.completion import stored
from featurestore.cli.options import CONTEXT, at_option, output_option, store_option, view_options
from featurestore.views.request import ViewRequest


@click.command(context_settings=CONTEXT)
@click.argument("property_name", metavar="PROPERTY", shell_complete=stored("properties"))
@view_options
@store_option
@at_option
@click.option("--show-sql", is_flag=True, help="Print the SQL that selects the rows, and stop.")
@output_option
def view(
    request: ViewRequest, store_uri: str, at: str | None, show_sql: bool, output: Path | None
) -> None:
    """Assemble the training view of PROPERTY and print its fingerprint.

    \b
    Example:
      featurestore view mbj_bandgap --text robocrystallographer \\
          --structure-encoder alignn-ff --text-encoder minilm --split paper -o view.parquet
    """
    from featurestore.query.running import interruptible
    from featurestore.store import FeatureStore
    from featurestore.views.parameters import resolve
    from featurestore.views.sql import view_sql
    from featurestore.views.view import select_view, write_view

    with FeatureStore.open(store_uri, at=at).session() as session:
        parameters = resolve(session, request)
        if show_sql:
            click.echo(view_sql(parameters))
            return
        selected = interruptible(session, lambda: select_view(session, parameters))
    loaded = selected.read()
    for name, value in parameters.as_dict().items():
        if value is not None:
            click.echo(f"{name:18} {value}")
    folds = loaded.rows["fold"].value_counts().to_pylist() if request.split else []
    counts = ", ".join(f"{entry['counts']} {entry['values']}" for entry in folds)
    click.echo(f"{'rows':18} {len(loaded)}" + (f" ({counts})" if counts else ""))
    for name, start, stop in loaded.segments:
        click.echo(f"{'features':18} [{start}:{stop}] {name}")
    for lacking, count in loaded.excluded.items():
        click.echo(f"{'left out':18} {count} materials without a {lacking}")
    click.echo(f"{'fingerprint':18} {loaded.fingerprint}")
    if output is not None:
        write_view(loaded, output)
        click.echo(f"{'written to':18} {output}")
