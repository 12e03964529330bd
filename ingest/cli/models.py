"""The commands ``models list`` and ``models pull``."""

from __future__ import annotations

from pathlib import Path

import click

from featurestore.cli.options import CONTEXT, format_option


@click.group(context_settings=CONTEXT)
def models() -> None:
    """List and fetch named encoder weights.

    \b
    Example:
      featurestore models list
      featurestore models pull alignn-ff
    """


@models.command("list")
@format_option
def list_models(output_format: str) -> None:
    """List the named weights, where they live and whether they are here.

    \b
    Example:
      featurestore models list --format json
    """
    import pyarrow as pa

    from featurestore.output.rows import print_table
    from ingest.weights.cache import find_weights
    from ingest.weights.registry import registry

    rows = []
    for weights in registry().values():
        folder = find_weights(weights.name)
        row = {
            "name": weights.name,
            "kind": weights.kind,
            "dimension": weights.dimension,
            "licence": weights.licence,
            "source": str(weights.source),
            "checksum": "pinned" if all(weights.files.values()) else "recorded at first pull",
            "pulled": folder is not None,
        }
        if output_format != "table":
            row |= {"note": weights.note, "folder": str(folder) if folder else None}
        rows.append(row)
    print_table(pa.Table.from_pylist(rows), output_format)


@models.command("pull")
@click.argument("name")
@click.option(
    "--from",
    "local",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Copy the files from a local folder instead of downloading them.",
)
def pull_model(name: str, local: Path | None) -> None:
    """Fetch the weights NAME into the cache and check their SHA-256.

    NAME is one that `models list` shows, or OWNER/NAME of a Hugging Face repository with a
    BERT-family model. The cache is $FEATURESTORE_CACHE, or ~/.cache/featurestore.

    \b
    Example:
      featurestore models pull minilm
      featurestore models pull matbert --from ~/matbert-base-uncased
    """
    from ingest.weights.pull import pull
    from ingest.weights.registry import named_weights

    pulled = pull(name, local, report=lambda line: click.echo(line, err=True))
    state = "pulled" if pulled.new else "already here"
    click.echo(f"{name}: {state}, {len(pulled.sha256)} files checked, in {pulled.folder}")
    if pulled.unpinned:
        click.echo(
            "The registry has no checksum for these files; what came is recorded and later pulls "
            "and checks hold to it:"
        )
        for file in pulled.unpinned:
            click.echo(f"  {pulled.sha256[file]}  {file}")
    click.echo(named_weights(name).note)
