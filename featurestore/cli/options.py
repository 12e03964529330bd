"""Options that several commands share, as decorators."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from featurestore.view_request import FEATURES, ViewRequest

Command = TypeVar("Command", bound=Callable[..., Any])

CONTEXT = {"help_option_names": ["-h", "--help"]}


def store_option(command: Command) -> Command:
    """Add ``--store``; the command gets it as ``store_uri``."""
    return click.option(
        "--store",
        "store_uri",
        default="materials-store",
        show_default=True,
        envvar="FEATURESTORE_URI",
        show_envvar=True,
        metavar="URI",
        help="Folder of the feature store, or s3://bucket/prefix.",
    )(command)


def at_option(command: Command) -> Command:
    """Add ``--at``, for commands that only read; the command gets it as ``at``."""
    return click.option(
        "--at",
        metavar="NAME|TIME",
        help="See the store as of a snapshot, or of a time such as 2026-11-22T18:30 (UTC).",
    )(command)


def format_option(command: Command) -> Command:
    """Add ``--format``; the command gets it as ``output_format``."""
    from featurestore.output import PRINTED_FORMATS  # brings Arrow, which help does not need

    return click.option(
        "--format",
        "output_format",
        type=click.Choice(PRINTED_FORMATS),
        default="table",
        show_default=True,
        help="How rows are printed.",
    )(command)


def output_option(command: Command) -> Command:
    """Add ``-o``, for commands whose rows may go to a file; the command gets it as ``output``."""
    return click.option(
        "-o",
        "--output",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Write to a .parquet, .arrow, .csv, .json, .ndjson or .npz file instead.",
    )(command)


def view_options(command: Command) -> Command:
    """Add the options that name a training view's parts.

    The command has an argument or option ``property_name``; it gets all of them as ``request``, a
    `ViewRequest`.
    """

    @functools.wraps(command)
    def with_request(property_name: str, features: str | None, **given: Any) -> Any:
        fields = {name: given.pop(name) for name in _VIEW_FIELDS}
        named = {"structure": fields["structure_encoder"], "text": fields["text_encoder"]}
        chosen = features or "+".join(part for part, encoder in named.items() if encoder)
        if not chosen:
            raise click.UsageError("Name --structure-encoder, --text-encoder or both.")
        return command(request=ViewRequest(property_name, chosen, **fields), **given)

    decorated: Any = with_request
    for option in reversed(_VIEW_OPTIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


_VIEW_OPTIONS = (
    click.option(
        "--features",
        type=click.Choice(FEATURES),
        help="Which vectors to take. Default: those whose encoders are named.",
    ),
    click.option("--text", "text_source", metavar="SOURCE", help="Text source."),
    click.option("--structure-encoder", metavar="NAME", help="Structure encoder."),
    click.option("--text-encoder", metavar="NAME", help="Text encoder."),
    click.option(
        "--variant",
        default="full",
        show_default=True,
        help="Text variant: full, without:TAG or only:TAG.",
    ),
    click.option("--split", metavar="NAME", help="Split that gives the folds."),
    click.option(
        "--property-source",
        metavar="NAME",
        help="Source of the targets, where a property has several.",
    ),
)
_VIEW_FIELDS = (
    "text_source",
    "structure_encoder",
    "text_encoder",
    "variant",
    "split",
    "property_source",
)
