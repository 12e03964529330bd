"""Options that the commands of ``featurestore train`` share, as decorators."""

from __future__ import annotations

from collections.abc import Callable

import click

from featurestore.cli.options import Command, together, view_options

property_option = click.option(
    "--property", "property_name", required=True, metavar="NAME", help="What to predict."
)


def seed_option(what: str) -> Callable[[Command], Command]:
    """``--seed``; ``what`` says what it decides."""
    return click.option("--seed", default=0, show_default=True, help=what)


def on_vectors_options(of_seed: str) -> Callable[[Command], Command]:
    """``--property``, those of `view_options`, and ``--seed``, for predictors on vectors."""
    return together(property_option, view_options, seed_option(of_seed))
