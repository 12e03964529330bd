"""Groups whose commands are import paths: a command's code is imported when it is called."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import click

from featurestore.rooms import check_not_shadowed


class LazyGroup(click.Group):
    """A group whose commands are import paths, loaded on first use.

    Parameters
    ----------
    built_in : mapping of str to (str, str)
        By name the path of a command of this room, as ``module:attribute``, and its summary.
        Summaries stand here because reading them from the commands would import every room.
    entry_points : str
        Group of entry points in which other rooms name further commands.
    summaries : mapping of str to str
        The summaries of those.
    """

    def __init__(
        self,
        *args: Any,
        built_in: Mapping[str, tuple[str, str]],
        entry_points: str,
        summaries: Mapping[str, str],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._built_in, self._entry_points = built_in, entry_points
        self._summaries = {name: summary for name, (_, summary) in built_in.items()} | dict(
            summaries
        )

    def _paths(self) -> dict[str, str]:
        paths = {name: path for name, (path, _) in self._built_in.items()}
        found = metadata.entry_points(group=self._entry_points)
        return paths | {entry.name: entry.value for entry in found}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands, without importing them."""
        return list(self._paths())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of that name."""
        path = self._paths().get(cmd_name)
        if path is None:
            return None
        module, _, name = path.partition(":")
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError:
            check_not_shadowed(module.partition(".")[0])
            raise
        command = getattr(found, name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Like click's, but an unknown name suggests only from names, importing nothing."""
        if args and args[0] not in self._paths() and not args[0].startswith("-"):
            raise click.NoSuchCommand(args[0], possibilities=list(self._paths()), ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the summaries without importing the commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._summaries.get(name, "")) for name in self._paths()])
