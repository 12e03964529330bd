"""``featurestore verify``: what is wrong with a store, and how to mend it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from featurestore.cli.options import CONTEXT, at_option, format_option, store_option
from featurestore.output.notes import note

if TYPE_CHECKING:
    from featurestore.upkeep.checks.finding import Finding


@click.command(context_settings=CONTEXT)
@click.option(
    "--mend",
    "mending",
    is_flag=True,
    help="Move the rows found wrong to the table quarantine; the command named writes them again.",
)
@store_option
@at_option
@format_option
def verify(mending: bool, store_uri: str, at: str | None, output_format: str) -> None:
    """Re-hash structures and texts, check keys, vectors, references and runs.

    Everything is read. The exit code is 1 if anything is wrong; what interruptions leave behind
    is reported as a note and is no fault. Nothing is deleted by --mend.

    \b
    Example:
      featurestore verify
    """
    import pyarrow as pa

    from featurestore.output.rows import print_table
    from featurestore.store import FeatureStore
    from featurestore.upkeep.verify import mend
    from featurestore.upkeep.verify import verify as check

    if mending and at is not None:
        raise click.UsageError("The past is not mended: leave out --at.")
    store = FeatureStore.open(store_uri, at=at)
    findings: list[Finding] = []
    for finding in check(store):
        findings.append(finding)
        if output_format == "table":
            head = click.style("WRONG", fg="red") if finding.wrong else "note "
            click.echo(f"{head}  {finding.table}: {finding.problem}\n       {finding.mend}")
    if output_format != "table":
        columns = ("table", "problem", "mend", "wrong")
        rows = [{name: getattr(finding, name) for name in columns} for finding in findings]
        kinds = [pa.string(), pa.string(), pa.string(), pa.bool_()]
        schema = pa.schema(list(zip(columns, kinds, strict=True)))
        print_table(pa.Table.from_pylist(rows, schema=schema), output_format)
    wrong = [finding for finding in findings if finding.wrong]
    if mending and wrong:
        for table, count in mend(store, wrong).items():
            note(f"moved {count:,} rows of {table} to the table quarantine")
    if output_format == "table":
        notes = len(findings) - len(wrong)
        click.echo(f"{len(store.tables())} tables checked: {len(wrong)} wrong, {notes} notes")
    if wrong:
        raise click.exceptions.Exit(1)
