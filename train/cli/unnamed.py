"""Groups with a command that need not be named."""

from __future__ import annotations

import click

from featurestore.cli.options import CONTEXT

_HELP = CONTEXT["help_option_names"]


def with_unnamed(name: str) -> type[click.Group]:
    """A class of groups: what is no command's name is an argument of the command ``name``."""

    class WithUnnamed(click.Group):
        def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
            """Put the command's name before what is no name of one."""
            if not args or (args[0] not in self.commands and args[0] not in _HELP):
                args = [name, *args]
            return super().parse_args(ctx, args)

        def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
            """Write the options of the command that need not be named, too."""
            records = [one.get_help_record(ctx) for one in self.commands[name].params]
            with formatter.section(f"Options of 'featurestore {self.name} FILES …'"):
                formatter.write_dl([record for record in records if record is not None])
            super().format_options(ctx, formatter)

    return WithUnnamed
