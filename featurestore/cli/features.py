"""``featurestore features``: named lists of features for training views."""

from __future__ import annotations

import click

from featurestore.cli.options import CONTEXT, at_option, format_option, store_option


@click.group(context_settings=CONTEXT)
def features() -> None:
    """Define and list feature sets: what a training view's columns are made of, under a name."""


@features.command(context_settings=CONTEXT)
@click.argument("name")
@click.argument("features", nargs=-1)
@click.option("--description", default="", help="What it is for.")
@store_option
def define(name: str, features: tuple[str, ...], description: str, store_uri: str) -> None:
    """Store FEATURES under NAME; other features under a known name are its next version.

    A feature is ENCODER (the vector of a structure encoder), ENCODER.SEGMENT (a part of it),
    ENCODER:SOURCE or ENCODER:SOURCE:VARIANT (what a text encoder makes of a text), sql:EXPRESSION
    (a number for each material, over the columns of materials) or property:NAME (a stored
    property). Names are replaced by ids, so that a version means the same for ever. Without
    FEATURES the set is this package's of that name: recommended.

    \b
    Example:
      featurestore features define recommended
      featurestore features define graph+text alignn-ff minilm:robocrystallographer
      featurestore features define small alignn-ff.atom "sql:volume / n_atoms"
    """
    from featurestore.store import FeatureStore
    from featurestore.views.define import define_feature_set

    store = FeatureStore.open(store_uri)
    found, new = define_feature_set(store, name, features, description)
    click.echo(f"{found}{'' if new else ' (it was there)'}")
    for feature in found.features:
        click.echo(f"  {feature}")


@features.command("list", context_settings=CONTEXT)
@store_option
@at_option
@format_option
def list_sets(store_uri: str, at: str | None, output_format: str) -> None:
    """List the feature sets, every version.

    \b
    Example:
      featurestore features list
    """
    import pyarrow as pa

    from featurestore.feature_sets import feature_sets
    from featurestore.output.rows import print_table
    from featurestore.store import FeatureStore

    with FeatureStore.open(store_uri, at=at).session() as session:
        known = feature_sets(session)
    columns = {
        "feature_set": [str(one) for one in known],
        "features": [" + ".join(one.written) for one in known],
        "ids": [" + ".join(one.features) for one in known],
        "description": [one.description for one in known],
    }
    print_table(
        pa.table({name: pa.array(v, pa.string()) for name, v in columns.items()}), output_format
    )
