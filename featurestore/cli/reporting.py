"""How an error is told: a line for people, or an object for programs that asked for JSON."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Sequence

import click

from featurestore.messages import for_users
from featurestore.output.terminal import is_verbose, logged


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for JSON: also one that could not be parsed.

    >>> wants_json(["info", "--format", "json"]), wants_json(["sql", "x", "--format=ndjson"])
    (True, True)
    """
    after = [*arguments[1:], ""]
    forms = ("json", "ndjson")
    return any(
        (word == "--format" and following in forms)
        or word in tuple(f"--format={form}" for form in forms)
        for word, following in zip(arguments, after, strict=False)
    )


def report_error(
    error: BaseException, message: str, exit_code: int, *, begins: str = "Error: "
) -> None:
    """Say on standard error what is wrong; with ``--verbose`` also where it came from."""
    whole = "".join(traceback.format_exception(error))
    if is_verbose():
        click.echo(whole, err=True)
    else:
        logged(whole)
    if wants_json(sys.argv[1:]):
        click.echo(_as_json(error, message, exit_code), err=True)
    else:
        click.echo(f"{begins}{message}", err=True)


def report_misuse(misuse: click.ClickException) -> None:
    """Say which argument or option is wrong."""
    if wants_json(sys.argv[1:]):
        message = for_users(misuse.format_message())
        click.echo(_as_json(misuse, message, misuse.exit_code), err=True)
    else:
        misuse.show()


def _as_json(error: BaseException, message: str, exit_code: int) -> str:
    """The error on one line; ``commands`` are those that mend it, each as its words."""
    said = {
        "error": type(error).__name__,
        "message": message,
        "exit_code": exit_code,
        "commands": [list(command) for command in getattr(error, "commands", ())],
    }
    return json.dumps(said, ensure_ascii=False)
