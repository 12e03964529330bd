"""``featurestore encoders``: versions of encoders and generators side by side."""

from __future__ import annotations

import click

from featurestore.cli.completion import stored
from featurestore.cli.options import CONTEXT, at_option, format_option, store_option
from featurestore.output.notes import note


@click.group(context_settings=CONTEXT)
def encoders() -> None:
    """Compare versions of encoders and generators, and say which one a name means.

    Versions never mix: each has an id, and its rows are its own. A name means the promoted
    version, or else the only one that is not retired.
    """


@encoders.command("list", context_settings=CONTEXT)
@store_option
@at_option
@format_option
def list_(store_uri: str, at: str | None, output_format: str) -> None:
    """List the encoders and generators with their standing."""
    import pyarrow as pa

    from featurestore.catalogue import versions_of
    from featurestore.output.rows import print_table
    from featurestore.session_tables import IN_USE
    from featurestore.store import FeatureStore

    with FeatureStore.open(store_uri, at=at).session() as session:
        standings = session.standings()
        rows = [
            {"id": one, "kind": kind, "name": name, "standing": standings.get(one, IN_USE)}
            for one, (kind, name) in sorted(versions_of(session).items())
        ]
    schema = pa.schema([(name, pa.string()) for name in ("id", "kind", "name", "standing")])
    print_table(pa.Table.from_pylist(rows, schema=schema), output_format)


@encoders.command(context_settings=CONTEXT)
@click.argument("a", shell_complete=stored("versions"))
@click.argument("b", shell_complete=stored("versions"))
@click.option("--text-encoder", metavar="NAME", help="For generators: whose vectors to compare.")
@store_option
@at_option
@format_option
def compare(
    a: str, b: str, text_encoder: str | None, store_uri: str, at: str | None, output_format: str
) -> None:
    """Compare the vectors of A and B, and the test errors of models that are otherwise alike.

    \b
    Example:
      featurestore encoders compare minilm_d5276ea2e1 minilm_0c4e88f1aa
    """
    import pyarrow as pa

    from featurestore.history.drift import compare_versions
    from featurestore.output.rows import print_table
    from featurestore.store import FeatureStore

    with FeatureStore.open(store_uri, at=at).session() as session:
        drift = compare_versions(session, a, b, text_encoder=text_encoder)
    numbers = {name: value for name, value in vars(drift).items() if name != "errors"}
    print_table(pa.Table.from_pylist([numbers]), output_format)
    if drift.errors:
        click.echo()
        rows = [vars(pair) | {"difference": pair.mae_b - pair.mae_a} for pair in drift.errors]
        print_table(pa.Table.from_pylist(rows), output_format)
    else:
        note("no stored models differ in these versions alone")


@encoders.command(context_settings=CONTEXT)
@click.argument("version_id", metavar="ID", shell_complete=stored("versions"))
@click.option("--reason", default="", help="Kept with it.")
@store_option
def promote(version_id: str, reason: str, store_uri: str) -> None:
    """Let the name of an encoder or generator mean the version ID from now on."""
    from featurestore.store import FeatureStore
    from featurestore.upkeep.standing import promote as change

    store = FeatureStore.open(store_uri)
    with store.run("encoders promote", {"id": version_id}) as run:
        before = change(store, version_id, reason, run)
    click.echo(f"{version_id} is promoted" + (f", in place of {', '.join(before)}" * bool(before)))


@encoders.command(context_settings=CONTEXT)
@click.argument("version_id", metavar="ID", shell_complete=stored("versions"))
@click.option("--reason", default="", help="Kept with it.")
@store_option
def retire(version_id: str, reason: str, store_uri: str) -> None:
    """Let the name of an encoder or generator no longer mean the version ID; its rows stay."""
    from featurestore.store import FeatureStore
    from featurestore.upkeep.standing import retire as change

    store = FeatureStore.open(store_uri)
    with store.run("encoders retire", {"id": version_id}) as run:
        change(store, version_id, reason, run)
    click.echo(f"{version_id} is retired; its rows stay and its id finds it")
