"""``featurestore export``: a training view for other programs, with its data card."""

from __future__ import annotations

from pathlib import Path

import click

from featurestore.cli.completion import stored
from featurestore.cli.options import CONTEXT, at_option, formats_option, store_option, view_options
from featurestore.views.request import ViewRequest

_FORMATS = ("parquet", "csv", "npy", "datasets", "hub", "torch")


@click.command(context_settings=CONTEXT)
@click.argument("property_name", metavar="PROPERTY", shell_complete=stored("properties"))
@view_options
@formats_option(
    _FORMATS,
    "npy: a NumPy .npz; datasets: for datasets.load_from_disk; hub: for the Hugging Face Hub; "
    "torch: a safetensors file.",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder to make; it must not exist.",
)
@store_option
@at_option
def export(
    request: ViewRequest, output_format: str, output: Path, store_uri: str, at: str | None
) -> None:
    """Write the training view of PROPERTY and a data card (README.md) into a new folder.

    \b
    Example:
      featurestore export mbj_bandgap --structure-encoder alignn-ff --split paper \\
          --format datasets -o mbj-bandgap
    """
    from featurestore.export.folder import export_view
    from featurestore.store import FeatureStore

    view = export_view(FeatureStore.open(store_uri, at=at), request, output, output_format)
    click.echo(f"{len(view)} rows written to {output}")
    click.echo(f"fingerprint {view.fingerprint}")
