"""Options that the benchmarks share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ingest.sample import sample_archive

Command = TypeVar("Command", bound=Callable[..., Any])


def sample_options(command: Command) -> Command:
    """Add ``--archive``, ``--n`` and ``--seed``: which structures are measured."""
    for option in (
        click.option("--seed", default=0, show_default=True, help="Seed of the choice."),
        click.option("--n", default=500, show_default=True, help="Number of random structures."),
        click.option(
            "--archive",
            type=click.Path(path_type=Path, exists=True),
            default=sample_archive,
            help="A JARVIS archive; the bundled sample by default.",
        ),
    ):
        command = option(command)
    return command


def real_option(command: Command) -> Command:
    """Add ``--real``: where the vectors of a large made-up store are from."""
    return click.option(
        "--real",
        type=click.Path(path_type=Path, exists=True),
        help="A store whose vectors are repeated and jittered; random ones by default.",
    )(command)
