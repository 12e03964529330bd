"""The command line: one root command whose groups are found through entry points."""

from __future__ import annotations

import signal
import sys
import warnings
from types import FrameType
from typing import TextIO

import click

from featurestore.cli.reporting import report_error, report_misuse
from featurestore.cli.root import root
from featurestore.cli.without_pandas import keep_pandas_out
from featurestore.errors import (
    DamagedRowsWarning,
    FeatureStoreError,
    MissingRowsWarning,
    NameOrderWarning,
)
from featurestore.machine.processors import set_up_threads
from featurestore.output.terminal import guard_streams

__all__ = ["main", "root"]

#: What the exit code says; docs/configuration.md has the same list.
FAILED, MISUSED, INTERRUPTED = 1, 2, 130


def main() -> None:
    """Run the command line; errors of the store are one line and exit code 1, misuse is 2."""
    signal.signal(signal.SIGTERM, _interrupt)
    guard_streams()
    set_up_threads()
    keep_pandas_out(sys.argv[1:])
    warnings.showwarning = _show_warning
    try:
        code = root.main(prog_name="featurestore", standalone_mode=False)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.ClickException as misuse:
        report_misuse(misuse)
        code = misuse.exit_code
    except (click.Abort, KeyboardInterrupt) as stop:
        how_far = str(stop.__cause__ or stop)  # click wraps what a command raises
        after = f" after {how_far}" if how_far else ""
        report_error(
            stop,
            f"Interrupted{after}. What was written stays; the same command goes on from there.",
            INTERRUPTED,
            begins="",
        )
        code = INTERRUPTED
    except FeatureStoreError as error:
        report_error(error, str(error), FAILED)
        code = FAILED
    except RecursionError as error:
        report_error(error, "something that was read nests too deep to be read", FAILED)
        code = FAILED
    except MemoryError as error:
        report_error(error, "this needs more memory than there is", FAILED)
        code = FAILED
    sys.exit(code if isinstance(code, int) else 0)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning of the store is a sentence for the user; others say where they come from."""
    if issubclass(category, DamagedRowsWarning | MissingRowsWarning | NameOrderWarning):
        click.echo(f"Warning: {message}", err=True)
    else:
        click.echo(warnings.formatwarning(message, category, filename, lineno, line), err=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End on SIGTERM as on Ctrl-C: what is finished is written first."""
    raise KeyboardInterrupt
