"""``featurestore search``: what is like a material, maps of a space, and search indexes."""

from __future__ import annotations

from pathlib import Path

import click

from featurestore.cli.completion import stored
from featurestore.cli.lazy import LazyGroup
from featurestore.cli.options import CONTEXT, at_option, figure_option, format_option, store_option
from featurestore.cli.search_options import (
    SPACES,
    Asked,
    find_option,
    metric_option,
    search_options,
    show,
    text_options,
)

_BUILT_IN = {
    "like": ("featurestore.cli.search:like", "Find materials like a stored one."),
    "map": ("featurestore.cli.search:map_", "Draw a space in two dimensions."),
    "index": ("featurestore.cli.search:index", "Build, show and drop search indexes."),
}
_SUMMARIES = {
    "structure": "Find materials like the structure in a file.",
    "text": "Find materials whose descriptions fit a text.",
}


@click.group(
    cls=LazyGroup,
    built_in=_BUILT_IN,
    entry_points="featurestore.search",
    summaries=_SUMMARIES,
    context_settings=CONTEXT,
)
def search() -> None:
    """Find materials like one, or by what their descriptions say.

    Searches are exact unless an index was built, which is kept only where it is faster and finds
    99 % of the true neighbours.

    \b
    Example:
      featurestore search like JVASP-1002 --where "mbj_bandgap > 1"
      featurestore search text "edge-sharing octahedra, layered oxide"
    """


@click.command(context_settings=CONTEXT)
@click.argument("material", shell_complete=stored("materials"))
@click.option(
    "--space",
    type=click.Choice(SPACES),
    default="structure",
    show_default=True,
    help="Compare structure vectors, text vectors, or both by reciprocal rank fusion.",
)
@find_option
@search_options
def like(
    material: str, space: str, find: str | None, asked: Asked, store_uri: str, at: str | None
) -> None:
    """Find the materials nearest to MATERIAL, itself left out.

    \b
    Example:
      featurestore search like JVASP-1002 -k 5 --space both --explain
      featurestore search like JVASP-1002 --encoder my-joint-structure --find text
    """
    from featurestore.store import FeatureStore

    hits = FeatureStore.open(store_uri, at=at).search.materials_like(
        material,
        space,
        asked.among(without=material),
        find_in=find,
        encoders=asked.encoders,
        text_source=asked.text_source,
        variant=asked.variant,
        metric=asked.metric,
        explain=asked.explain,
        exact=asked.exact,
    )
    show(hits, asked)


@click.command("map", context_settings=CONTEXT)
@click.option("--encoder", metavar="NAME", help="Whose space. Default: the only structure encoder.")
@text_options
@click.option(
    "--colour",
    "--color",
    default="crystal_system",
    show_default=True,
    help="A property, or a column of materials.",
)
@click.option(
    "--method",
    type=click.Choice(["pca", "tsne", "umap"]),
    default="pca",
    show_default=True,
    help="Principal components, or t-SNE, which takes minutes for tens of thousands.",
)
@click.option("--where", metavar="SQL", help="Only materials for which this condition holds.")
@click.option("--property-source", metavar="NAME", help="Source of a property with several.")
@click.option("--seed", default=0, show_default=True, help="Of t-SNE.")
@click.option(
    "--points",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the coordinates, to a .parquet, .arrow, .csv, .json, .ndjson or .npz file.",
)
@figure_option(default="map.png", show_default=True)
@store_option
@at_option
def map_(
    encoder: str | None,
    text_source: str | None,
    variant: str,
    colour: str,
    method: str,
    where: str | None,
    property_source: str | None,
    seed: int,
    points: Path | None,
    figure: Path,
    store_uri: str,
    at: str | None,
) -> None:
    """Draw the materials of a space in two dimensions, coloured by COLOUR.

    \b
    Example:
      featurestore search map --colour formation_energy_peratom -o map.png
    """
    from featurestore.output.rows import write_table
    from featurestore.search.map import space_map
    from featurestore.search.map_figure import draw_map
    from featurestore.store import FeatureStore

    drawn = space_map(
        FeatureStore.open(store_uri, at=at),
        encoder=encoder,
        text_source=text_source,
        variant=variant,
        colour=colour,
        method=method,
        where=where,
        property_source=property_source,
        seed=seed,
    )
    draw_map(drawn, figure)
    if points is not None:
        write_table(drawn.points, points)
        click.echo(f"coordinates in {points}")
    click.echo(f"{drawn.points.num_rows:,} materials in {figure}{drawn.note}")


@click.group(context_settings=CONTEXT)
def index() -> None:
    """Build, show and drop search indexes.

    An index answers one query faster than comparing with every vector, from tens of thousands on.
    It is built and measured against exact search, and kept with the settings that reached the
    recall wanted.
    """


@index.command(context_settings=CONTEXT)
@click.option("--encoder", metavar="NAME", help="Whose vectors. Default: the only structure one.")
@click.option(
    "--type",
    "kind",
    type=click.Choice(["IVF_FLAT", "IVF_HNSW_SQ", "IVF_PQ"]),
    default="IVF_FLAT",
    show_default=True,
    help="Lance's kind of index.",
)
@metric_option
@click.option("--recall", default=0.99, show_default=True, help="Share of neighbours to find.")
@click.option("-k", "k", default=10, show_default=True, help="Neighbours for which it is measured.")
@click.option("--keep-slower", is_flag=True, help="Keep it even where exact search is faster.")
@store_option
def build(
    encoder: str | None,
    kind: str,
    metric: str,
    recall: float,
    k: int,
    keep_slower: bool,
    store_uri: str,
) -> None:
    """Build an index and choose its settings by measured recall.

    \b
    Example:
      featurestore search index build --encoder alignn-ff
    """
    from featurestore.store import FeatureStore

    built = FeatureStore.open(store_uri).search.build_index(
        encoder,
        kind=kind,
        metric=metric,
        k=k,
        target=recall,
        keep_slower=keep_slower,
        report=click.echo,
    )
    chosen = ", ".join(f"{name} {value}" for name, value in built.settings.items())
    click.echo(
        f"kept: {built.kind} of {built.encoder_id}, {chosen}: recall@{built.k} {built.recall:.4f}, "
        f"{built.milliseconds:.2f} ms a query"
    )


@index.command(context_settings=CONTEXT)
@store_option
@at_option
@format_option
def status(store_uri: str, at: str | None, output_format: str) -> None:
    """Show the indexes: rows indexed and not, settings, recall when built.

    \b
    Example:
      featurestore search index status
    """
    from featurestore.output.rows import print_table
    from featurestore.search.status import index_status
    from featurestore.store import FeatureStore

    with FeatureStore.open(store_uri, at=at).session() as session:
        print_table(index_status(session), output_format)


@index.command(context_settings=CONTEXT)
@click.option("--encoder", metavar="NAME", help="Whose index. Default: the only structure one.")
@store_option
def drop(encoder: str | None, store_uri: str) -> None:
    """Drop an index; searches are exact again.

    \b
    Example:
      featurestore search index drop --encoder alignn-ff
    """
    from featurestore.store import FeatureStore

    name, there = FeatureStore.open(store_uri).search.drop_index(encoder)
    click.echo(f"the index of {name} is dropped" if there else f"{name} has no index")
