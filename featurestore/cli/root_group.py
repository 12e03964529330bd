"""The root command's group: the configuration as defaults, and the user's aliases."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

import click

from featurestore.cli.lazy import LazyGroup
from featurestore.configuration.defaults import ConfiguredDefaults
from featurestore.errors import InvalidInputError


class RootGroup(LazyGroup):
    """A lazy group that knows the configuration."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """A context whose commands take their defaults from the configuration."""
        extra.setdefault("default_map", ConfiguredDefaults())
        return super().make_context(info_name, args, parent, **extra)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Like a lazy group's, after an alias has been replaced by what it stands for."""
        if args and args[0] not in self.list_commands(ctx):
            aliases = _aliases(ctx)
            if args[0] in aliases:
                args = [*self._words(ctx, args[0], aliases[args[0]]), *args[1:]]
        return super().resolve_command(ctx, args)

    def _words(self, ctx: click.Context, name: str, given: str) -> list[str]:
        try:
            words = shlex.split(given)
        except ValueError as error:
            raise InvalidInputError(f"the alias {name!r} cannot be read: {error}") from error
        if words[0] not in self.list_commands(ctx):
            raise InvalidInputError(
                f"the alias {name!r} stands for {given!r}, which begins with no command of "
                "featurestore"
            )
        return words


def _aliases(ctx: click.Context) -> Mapping[str, str]:
    defaults = ctx.default_map
    return defaults.configuration.aliases if isinstance(defaults, ConfiguredDefaults) else {}
