"""``--encode``: makes what an explanation lacks by the commands that its error names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from featurestore.commands import Command

Result = TypeVar("Result")

# More are put into a file: nobody reads a line of a hundred options.
_NAMED = 8


def with_content(encode: bool, measure: Callable[[], Result]) -> Result:
    """Measure; where texts or vectors are missing, make them, or say how.

    Raises
    ------
    MissingContentError
        If something is missing and not to be made, or could not be made.
    """
    from explain.erasing.missing import made_where_missing
    from featurestore.commands import run
    from featurestore.errors import MissingContentError

    try:
        return made_where_missing(measure, run if encode else None)
    except MissingContentError as missing:
        raise missing.with_commands(map(_with_file, missing.commands)) from None


def _with_file(command: Command) -> Command:
    """The command with its variants in a file of this folder, where they are many."""
    from featurestore.output.names import file_name
    from featurestore.output.rows import atomic_path

    at = [place for place, word in enumerate(command) if word == "--variant"]
    if len(at) <= _NAMED:
        return command
    variants = [command[place + 1] for place in at]
    of = command[command.index("--material") + 1] if "--material" in command else "texts"
    path = Path(file_name("variants", of, suffix=".txt"))
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(variants) + "\n", "utf-8")
    left_out = {*at, *(place + 1 for place in at)}
    kept = [word for place, word in enumerate(command) if place not in left_out]
    return (*kept, "--variants-file", str(path))
