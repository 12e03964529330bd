"""The root command, which imports a command's code only when it is called."""

from __future__ import annotations

import importlib
from importlib import metadata

import click

from featurestore.cli.options import CONTEXT

# Summaries stand here because reading them from the commands would import every room.
_BUILT_IN = {
    "sql": ("featurestore.cli.sql:sql", "Query the tables and macros with SQL."),
    "coverage": ("featurestore.cli.coverage:coverage", "Say which materials lack what."),
    "quality": ("featurestore.cli.quality:quality", "Look for odd vectors and targets."),
    "export": ("featurestore.cli.export:export", "Write a training view with its data card."),
    "view": ("featurestore.cli.view:view", "Assemble the training view of a property."),
    "info": ("featurestore.cli.info:info", "Show what the store holds, at a glance."),
    "verify": ("featurestore.cli.verify:verify", "Check that a store is what it says it is."),
    "maintain": ("featurestore.cli.maintain:maintain", "Compact tables, drop old versions."),
    "lineage": ("featurestore.cli.lineage:lineage", "Show what a model or figure was made from."),
    "snapshot": ("featurestore.cli.snapshot:snapshot", "Name states of the store, restore them."),
    "backup": ("featurestore.cli.backup:backup", "Copy the store elsewhere; again, only news."),
    "migrate": ("featurestore.cli.migrate:migrate", "Bring an older store to today's schema."),
    "encoders": ("featurestore.cli.encoders:encoders", "Compare, promote and retire versions."),
    "demo": ("featurestore.cli.demo:demo", "Take a bundled sample through every step."),
}
_SUMMARIES = {
    "ingest": "Put structures, splits, texts and embeddings into the store.",
    "models": "List and fetch named encoder weights.",
    "train": "Train predictors on training views.",
    "explain": "Say which part of a text a model relies on.",
}


class LazyGroup(click.Group):
    """A group whose commands are import paths, loaded on first use."""

    def _paths(self) -> dict[str, str]:
        paths = {name: path for name, (path, _) in _BUILT_IN.items()}
        found = metadata.entry_points(group="featurestore.commands")
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
        command = getattr(importlib.import_module(module), name)
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
        summaries = {name: summary for name, (_, summary) in _BUILT_IN.items()} | _SUMMARIES
        with formatter.section("Commands"):
            formatter.write_dl([(name, summaries.get(name, "")) for name in self._paths()])


@click.group(cls=LazyGroup, context_settings=CONTEXT)
@click.version_option(package_name="materials-featurestore", prog_name="featurestore")
def root() -> None:
    """An embedding feature store for materials.

    Crystal structures go in; versioned graph and text embeddings stand in LanceDB; SQL assembles
    training views; predictors and explanations read from the store alone.

    \b
    Example:
      featurestore ingest structures my-cifs/ --properties targets.csv
      featurestore info
    """
