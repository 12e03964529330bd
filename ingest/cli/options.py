"""Options that the commands of ``featurestore ingest`` share, as decorators."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from featurestore.cli.completion import stored
from featurestore.cli.options import Command, together
from featurestore.views.request import FOLDS


def selection_options(command: Command) -> Command:
    """Add the options that choose materials; the command gets them as ``selection``."""

    @functools.wraps(command)
    def with_selection(**given: Any) -> Any:
        from ingest.stages.selection import Selection

        fields = {name: given.pop(name) for name in Selection.__dataclass_fields__}
        return command(selection=Selection(**fields), **given)

    return _selection_options(with_selection)  # type: ignore[return-value]


_selection_options = together(
    click.option(
        "--property",
        "properties",
        multiple=True,
        shell_complete=stored("properties"),
        help="Only materials with a target for this property (may be repeated).",
    ),
    click.option(
        "--split",
        shell_complete=stored("splits"),
        help="With one --property: only materials in this split.",
    ),
    click.option("--fold", type=click.Choice(FOLDS), help="… in this fold of it."),
    click.option("--where", metavar="SQL", help="Only materials for which this condition holds."),
    click.option(
        "--material",
        "materials",
        multiple=True,
        metavar="ID",
        shell_complete=stored("materials"),
        help="Only this material (may be repeated).",
    ),
)


def workers_options(item: str) -> Callable[[Command], Command]:
    """``--workers`` and ``--time-limit``, for commands that work on one such item at a time."""
    return together(
        click.option(
            "--workers", type=click.IntRange(1), help="Processes. Default: one a processor."
        ),
        click.option(
            "--time-limit",
            default=300.0,
            show_default=True,
            type=click.FloatRange(min=0.1),
            help=f"Seconds that one {item} may take before it counts as failed.",
        ),
    )


def retry_option(command: Command) -> Command:
    """Add ``--retry-failures``."""
    return click.option(
        "--retry-failures", is_flag=True, help="Try what failed in an earlier run again."
    )(command)


def registry_option(command: Command) -> Command:
    """Add ``--property-registry``; the command gets the files as ``registries``."""
    return click.option(
        "--property-registry",
        "registries",
        multiple=True,
        type=click.Path(path_type=Path),
        help="TOML file with further properties, their units and ranges.",
    )(command)


def ordered_option(command: Command) -> Command:
    """Add ``--ordered``, for commands that read structures."""
    return click.option(
        "--ordered",
        type=click.Choice(["nearest"]),
        help="Give each disordered site its most abundant element instead of refusing the "
        "structure; ids then end in ~ordered.",
    )(command)
