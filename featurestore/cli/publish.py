"""``featurestore publish``: what would be sent."""

from __future__ import annotations

from pathlib import Path

import click

from featurestore.cli.options import CONTEXT, formats_option


@click.command(context_settings=CONTEXT)
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--to",
    "place",
    type=click.Choice(["hub", "zenodo"]),
    required=True,
    help="The Hugging Face Hub, or Zenodo.",
)
@click.option("--repository", metavar="OWNER/NAME", help="On the Hub.")
@click.option("--title", help="Default: the first heading of the card.")
@click.option(
    "--creator",
    "creators",
    multiple=True,
    metavar="'FAMILY, GIVEN'",
    help="Of a Zenodo record (may be repeated).",
)
@click.option("--dry-run", is_flag=True, help="Say what would be sent: nothing else is done.")
@formats_option(("text", "json"), "Lines for people, or one object.")
def publish(
    folder: Path,
    place: str,
    repository: str | None,
    title: str | None,
    creators: tuple[str, ...],
    dry_run: bool,
    output_format: str,
) -> None:
    """Say what of an exported FOLDER would be sent to publish it, after checks; nothing is sent.

    \b
    Example:
      featurestore export mbj_bandgap --structure-encoder alignn-ff --format hub -o gaps
      featurestore publish gaps --to hub --repository lab/gaps --dry-run
    """
    from featurestore.export.submission import submission
    from featurestore.output.rows import print_json

    if not dry_run:
        raise click.UsageError(
            "This package uploads nothing: look at it with --dry-run, then send it by the place's "
            "own program or page."
        )
    found = submission(
        folder,
        place,  # type: ignore[arg-type]
        repository=repository,
        title=title,
        creators=creators,
    )
    if output_format == "json":
        print_json(found)
        return
    for name in ("place", "title", "repository", "command"):
        if name in found:
            click.echo(f"{name:12} {found[name]}")
    for name, value in found.get("metadata", {}).items():
        click.echo(f"{name:12} {value}")
    for file in found["files"]:
        click.echo(f"{'file':12} {file['name']}, {file['bytes']:,} bytes, {file['sha256'][:12]}")
    click.echo(f"{'bytes':12} {found['bytes']:,}")
