"""``featurestore quality``: odd vectors, implausible targets, and what has changed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from featurestore.cli.options import CONTEXT, at_option, format_option, output_option, store_option

if TYPE_CHECKING:
    from featurestore.quality.finding import QualityFinding

_SHOWN = 10


@click.command(context_settings=CONTEXT)
@click.option(
    "--encoder", "names", multiple=True, metavar="ID", help="Only vectors of this one. Repeatable."
)
@click.option("--split", metavar="NAME", help="Outliers are measured against its training fold.")
@click.option("--property", "property_name", metavar="NAME", help="The property the split is for.")
@click.option(
    "--outlier-limit",
    default=6.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Modified z-score from which a vector counts as an outlier.",
)
@click.option(
    "--versions",
    nargs=2,
    metavar="A B",
    help="Compare two versions of an encoder or generator instead.",
)
@click.option("--text-encoder", metavar="NAME", help="For generators: whose vectors to compare.")
@click.option(
    "--since", metavar="NAME|TIME", help="Say instead what has changed since a snapshot or time."
)
@click.option(
    "--property-registry",
    "registries",
    multiple=True,
    type=click.Path(path_type=Path),
    help="More properties, as for featurestore ingest.",
)
@click.option("--strict", is_flag=True, help="Exit code 1 if anything wrong or odd was found.")
@store_option
@at_option
@format_option
@output_option
def quality(
    names: tuple[str, ...],
    split: str | None,
    property_name: str | None,
    outlier_limit: float,
    versions: tuple[str, str] | None,
    text_encoder: str | None,
    since: str | None,
    registries: tuple[Path, ...],
    strict: bool,
    store_uri: str,
    at: str | None,
    output_format: str,
    output: Path | None,
) -> None:
    """Look for vectors and targets that are wrong or odd, one row for each finding.

    Vectors: NaN or infinite elements, length zero, exactly the vector of another content, far from
    the training fold. Targets: outside the registry's plausible range. Nothing is changed, and the
    exit code is 0 whatever is found, unless --strict is given. As a table at most ten rows of each
    check are shown.

    \b
    Example:
      featurestore quality --split paper --property mbj_bandgap
      featurestore quality --versions minilm_d5276ea2e1 minilm_e8744f2c84
      featurestore quality --since before-release
    """
    from featurestore.output.rows import print_table, write_table
    from featurestore.quality.all_checks import check_quality
    from featurestore.quality.change import check_since, check_versions
    from featurestore.quality.finding import CHANGE, as_table
    from featurestore.quality.outliers import TrainingFold
    from featurestore.registry import load_registry
    from featurestore.store import FeatureStore

    if versions is not None and since is not None:
        raise click.UsageError("Give either --versions or --since.")
    if (split is None) != (property_name is None):
        raise click.UsageError("--split and --property belong together.")
    if text_encoder is not None and versions is None:
        raise click.UsageError("--text-encoder belongs to --versions.")
    store = FeatureStore.open(store_uri, at=at)
    with store.session() as session:
        if versions is not None:
            found = list(check_versions(session, *versions, text_encoder=text_encoder))
        elif since is not None:
            with FeatureStore.open(store_uri, at=since).session() as before:
                found = list(check_since(before, session, since))
        else:
            fold = None
            if split is not None and property_name is not None:
                fold = TrainingFold(split, property_name)
            checks = check_quality(
                session,
                load_registry(*registries),
                only=names,
                fold=fold,
                outlier_limit=outlier_limit,
            )
            found = list(checks)
    if output is not None:
        write_table(as_table(found), output)
        click.echo(f"{len(found)} rows written to {output}")
    elif output_format == "table":
        _show(found)
    else:
        print_table(as_table(found), output_format)
    if strict and any(finding.level != CHANGE for finding in found):
        raise click.exceptions.Exit(1)


def _show(found: Sequence[QualityFinding]) -> None:
    """Print the first rows of each check, and how many there are."""
    from featurestore.output.rows import print_table
    from featurestore.quality.finding import CHANGE, as_table

    shown: list[QualityFinding] = []
    more = []
    for (check, subject), group in groupby(found, lambda one: (one.check, one.subject)):
        rows = list(group)
        limit = len(rows) if rows[0].level == CHANGE else _SHOWN
        shown += rows[:limit]
        if len(rows) > limit:
            more.append(f"{check}, {subject}: {len(rows) - limit:,} more")
    if shown:
        print_table(as_table(shown))
    else:
        click.echo("nothing was found")
    for line in more:
        click.echo(line)
    if more:
        click.echo("all of them: --format csv, or -o FILE")
