"""How much is said beside results: ``--quiet``, ``--verbose`` and ``--log-file``."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import click

from featurestore.cli.options import Command, together
from featurestore.configuration.defaults import ConfiguredDefaults
from featurestore.configuration.keys import KEYS
from featurestore.configuration.reading import Configuration
from featurestore.output.notes import note
from featurestore.output.terminal import guard_streams, log_to, set_quiet, set_verbose

_options = together(
    click.option(
        "-q", "--quiet", is_flag=True, help="No progress and no notes; errors and warnings stay."
    ),
    click.option(
        "-v",
        "--verbose",
        is_flag=True,
        help="Say what the configuration decided, and show an error with its traceback.",
    ),
    click.option(
        "--log-file",
        type=click.Path(dir_okay=False, path_type=Path),
        envvar=KEYS["log-file"].variable,
        show_envvar=True,
        help="Add notes, warnings and errors to this file, with their time.",
    ),
)


def loudness_options(command: Command) -> Command:
    """Add the options to the root command, and do what they say before any other runs."""

    @functools.wraps(command)
    def with_loudness(quiet: bool, verbose: bool, log_file: Path | None, **given: Any) -> Any:
        if quiet and verbose:
            raise click.UsageError("--quiet and --verbose contradict each other.")
        ctx = click.get_current_context()
        if os.environ.get("NO_COLOR"):
            ctx.color = False
        defaults, found = ctx.default_map, Configuration()
        if isinstance(defaults, ConfiguredDefaults):
            found = defaults.configuration
        if log_file is None and (named := found.get("log-file")):
            log_file = Path(named)
        if quiet or verbose or log_file is not None:
            guard_streams()
        if quiet:
            set_quiet()
        if log_file is not None:
            log_to(log_file)
        if verbose:
            set_verbose()
            for name, value in found.values.items():
                note(f"{name} = {value.value} ({value.origin})")
        return command(**given)

    return _options(with_loudness)  # type: ignore[return-value]
