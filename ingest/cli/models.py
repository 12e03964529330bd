"""``featurestore models``: weights of encoders; commands on trained models come from elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from featurestore.cli.lazy import LazyGroup
from featurestore.cli.options import CONTEXT, format_option
from featurestore.output.notes import note

_BUILT_IN = {
    "list": ("ingest.cli.models:list_models", "List the named weights of encoders."),
    "pull": ("ingest.cli.models:pull_model", "Fetch named weights of an encoder."),
}
_SUMMARIES = {
    "promote": "Let a trained model predict its property.",
    "retire": "Let a property no longer find a trained model.",
    "compare": "Compare two trained models.",
    "card": "Say what a trained model is, and is not for.",
    "export": "Write a trained model into one file.",
    "import": "Read a trained model from such a file.",
}


@click.group(
    cls=LazyGroup,
    built_in=_BUILT_IN,
    entry_points="featurestore.models",
    summaries=_SUMMARIES,
    context_settings=CONTEXT,
)
def models() -> None:
    """List and fetch weights of encoders; choose, compare, describe and move trained models.

    \b
    Example:
      featurestore models list
      featurestore models pull alignn-ff
      featurestore models promote mbj_bandgap_structure_chemnlp_a2548cb8b0
    """


@click.command("list", context_settings=CONTEXT)
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


@click.command("pull", context_settings=CONTEXT)
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

    pulled = pull(name, local, report=note)
    state = "pulled" if pulled.new else "already here"
    click.echo(f"{name}: {state}, {len(pulled.sha256)} files checked, in {pulled.folder}")
    if pulled.unpinned:
        click.echo(
            "The registry has no checksum for these files; what came is recorded and later pulls "
            "and checks hold to it:"
        )
        for file in pulled.unpinned:
            click.echo(f"  {pulled.sha256[file]}  {file}")
    weights = named_weights(name)
    click.echo(f"Licence: {weights.licence}")
    click.echo(weights.note)
