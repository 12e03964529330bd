"""``featurestore study``: a whole study from one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from featurestore.cli.options import CONTEXT, format_option, together
from featurestore.output.notes import note

if TYPE_CHECKING:
    from explain.study.file import Study

_which = together(
    click.argument("study", metavar="FILE"),
    # not the option that is configured: the file may name its store
    click.option(
        "--store",
        "named_store",
        metavar="URI",
        help="Store in place of the file's. Default: that, or the configured one.",
    ),
    click.option(
        "-o",
        "--output",
        "folder",
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder for page, figures and record in place of the file's.",
    ),
)


@click.group(context_settings=CONTEXT)
def study() -> None:
    """Make a whole study from one file: data, texts, vectors, models, explanations, one page.

    FILE is a TOML file, or the name of a study that ships: 'featurestore study list'.
    """


@study.command(context_settings=CONTEXT)
@_which
@format_option
def plan(study: str, named_store: str | None, folder: Path | None, output_format: str) -> None:
    """Say what of a study is done, what is to be made, and why it is made again.

    \b
    Example:
      featurestore study plan study.toml
    """
    import pyarrow as pa

    from explain.study.file import read_study
    from explain.study.plan import plan_table
    from explain.study.run import plan_study
    from featurestore.output.rows import print_table

    found = read_study(study)
    rows = plan_table(plan_study(found, _store(found, named_store), folder))
    print_table(pa.Table.from_pylist(rows), output_format)
    note(_counted(rows))


@study.command(context_settings=CONTEXT)
@_which
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Processes that describe structures. Default: one a processor.",
)
def run(study: str, named_store: str | None, folder: Path | None, workers: int | None) -> None:
    """Show the plan, make what is missing, and write the page.

    Run it again after an interruption, or after the file was changed: what is done stays, and what
    is made again is named with the reason.

    \b
    Example:
      featurestore study run study.toml
    """
    import pyarrow as pa

    from explain.study.file import read_study
    from explain.study.plan import plan_table
    from explain.study.run import plan_study, run_study
    from featurestore.output.rows import print_table

    found = read_study(study)
    uri = _store(found, named_store)
    rows = plan_table(plan_study(found, uri, folder))
    print_table(pa.Table.from_pylist(rows))
    note(_counted(rows))
    result = run_study(found, uri, folder, note, workers)
    click.echo(f"study        {found.name}")
    click.echo(f"fingerprint  {result.fingerprint}")
    click.echo(f"steps        {len(result.made)} made, {result.done} were there")
    click.echo(f"page         {result.page}")


@study.command("list", context_settings=CONTEXT)
@format_option
def list_(output_format: str) -> None:
    """List the studies that ship with the package.

    \b
    Example:
      featurestore study list
    """
    import pyarrow as pa

    from explain.study.file import read_study, shipped_studies
    from featurestore.output.rows import print_table

    rows = [
        {"name": name, "title": read_study(name).title, "file": str(path)}
        for name, path in shipped_studies().items()
    ]
    print_table(pa.Table.from_pylist(rows), output_format)


def _store(found: Study, named: str | None) -> str:
    from featurestore.configuration.reading import read_configuration

    return named or found.store or read_configuration().get("store") or "materials-store"


def _counted(rows: list[dict[str, str]]) -> str:
    counts = {
        state: sum(row["state"] == state for row in rows) for state in ("done", "new", "again")
    }
    return f"{counts['done']} done, {counts['new']} new, {counts['again']} made again"
