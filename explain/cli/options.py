"""Options that the commands of ``featurestore explain`` share, as decorators."""

from __future__ import annotations

from collections.abc import Callable

import click

from explain.erasing.kinds import ERASURES
from featurestore.cli.completion import stored
from featurestore.cli.options import Command
from train.cli.options import groups_options


def model_option(command: Command) -> Command:
    """Add ``--model``, for commands about one model; the command gets its ``name``."""
    return click.option(
        "--model",
        "name",
        required=True,
        metavar="ID",
        shell_complete=stored("models"),
        help="Model id or its beginning; its seeds are averaged. See: featurestore train list.",
    )(command)


def erasure_option(command: Command) -> Command:
    """Add ``--erasure``."""
    return click.option(
        "--erasure",
        type=click.Choice(ERASURES),
        default="deletion",
        show_default=True,
        help="Take the part away, or put [MASK] in the place of each of its words.",
    )(command)


def text_option(command: Command) -> Command:
    """Add ``--text``, for models that read several texts; the command gets it as ``source``."""
    return click.option(
        "--text",
        "source",
        metavar="SOURCE",
        help="Text source whose texts are erased, where the model reads several.",
    )(command)


def encode_option(command: Command) -> Command:
    """Add ``--encode``."""
    return click.option(
        "--encode",
        is_flag=True,
        help="Make missing vectors first, by featurestore ingest embeddings.",
    )(command)


def also_by_options(at_least: int) -> Callable[[Command], Command]:
    """``--by`` and ``--at-least``, for commands that show groups beside all materials."""
    what = "Also by group: an expression over materials, as crystal_system, or element."
    return groups_options(what, at_least=at_least)
