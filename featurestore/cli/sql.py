"""``featurestore sql``: reading queries over every table and macro."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from featurestore.cli.options import CONTEXT, at_option, format_option, output_option, store_option


@click.command(context_settings=CONTEXT)
@click.argument("query", required=False)
@click.option(
    "--file",
    "query_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Read the query from a file.",
)
@click.option(
    "--param",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="Value of $NAME in the query, or without NAME= of the next ?. Repeatable.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    envvar="FEATURESTORE_SQL_TIMEOUT",
    show_envvar=True,
    metavar="SECONDS",
    help="Stop a query that takes longer.",
)
@click.option(
    "--memory",
    "megabytes",
    type=click.IntRange(min=64),
    envvar="FEATURESTORE_SQL_MEMORY",
    show_envvar=True,
    metavar="MB",
    help="Memory that a query may take.  [default: half the machine's]",
)
@click.option(
    "--max-rows",
    type=click.IntRange(min=1),
    envvar="FEATURESTORE_SQL_MAX_ROWS",
    show_envvar=True,
    metavar="N",
    help="Refuse a result of more rows.",
)
@click.option(
    "--spreadsheet",
    is_flag=True,
    help="Put an apostrophe before texts in CSV that a spreadsheet would run as formulas.",
)
@store_option
@at_option
@format_option
@output_option
def sql(
    query: str | None,
    query_file: Path | None,
    parameters: tuple[str, ...],
    timeout: float | None,
    megabytes: int | None,
    max_rows: int | None,
    spreadsheet: bool,
    store_uri: str,
    at: str | None,
    output_format: str,
    output: Path | None,
) -> None:
    """Run one reading SQL QUERY over the tables and the macros.

    With - the query comes from standard input; without one, on a terminal, a shell opens. The
    macros are texts, training_view, coverage, cosine_similarity, cosine_distance, l2_distance,
    dot, norm and segment: see docs/sql.md, or .schema in the shell.

    \b
    Example:
      featurestore sql "SELECT crystal_system, count(*) FROM materials GROUP BY ALL"
      featurestore sql "FROM materials WHERE n_atoms < \\$most" --param most=4
    """
    from featurestore.query.guard import in_a_child
    from featurestore.query.limits import SqlLimits

    memory = None if megabytes is None else megabytes * 2**20
    limits = SqlLimits(timeout, memory, max_rows)
    text = _query_text(query, query_file)
    if text is None and (parameters or output):
        raise click.UsageError("--param and --output belong to a query: give one.")
    watch = in_a_child(limits, again=text is None)

    # Only now, since their threads do not survive a fork.
    from featurestore.cli.rows import print_rows
    from featurestore.output.rows import write_table
    from featurestore.query.parameters import parse_parameters
    from featurestore.query.running import run_query
    from featurestore.store import FeatureStore

    if text is None:
        from featurestore.cli.shell import run_shell

        run_shell(FeatureStore.open(store_uri, at=at), output_format, limits, watch)
        return
    with FeatureStore.open(store_uri, at=at).session(limits) as session, watch.query():
        table = run_query(session, text, parse_parameters(parameters))
    if spreadsheet:
        from featurestore.output.spreadsheet import harmless_table

        table = harmless_table(table)
    if output is None:
        print_rows(table, output_format)
    else:
        write_table(table, output)
        click.echo(f"{table.num_rows} rows written to {output}")


def _query_text(query: str | None, query_file: Path | None) -> str | None:
    """The query from wherever it is; None for the shell."""
    from featurestore.errors import InvalidInputError

    if query is not None and query_file is not None:
        raise click.UsageError("Give either a QUERY or --file, not both.")
    try:
        if query_file is not None:
            return query_file.read_text("utf-8-sig")
        if query == "-":
            return sys.stdin.read()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(
            f"cannot read the query from {query_file or 'standard input'}: {error}"
        ) from error
    if query is None and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError(
            "Missing argument 'QUERY': give one, --file FILE, or - to read it from standard input."
        )
    return query
