"""Fills the page of commands from click: what ``--help`` shows, with examples as code."""

from __future__ import annotations

import html
import inspect
import re
from collections.abc import Iterator
from typing import Any

import click

MARK = "<!-- commands -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put every command below the page's own words."""
    if MARK not in markdown:
        return markdown
    from featurestore.cli.root import root

    return markdown.replace(MARK, "\n".join(described("featurestore", root)))


def described(
    name: str, command: click.Command, parent: click.Context | None = None
) -> Iterator[str]:
    """A command and those below it, each with its whole path as heading."""
    context = command.context_class(command, info_name=name, parent=parent)
    path = context.command_path
    level = "#" * min(6, len(path.split()) + 1)
    yield f"{level} {path} {{ #{path.replace(' ', '-')} data-toc-label='{name}' }}"
    usage = context.get_usage().removeprefix("Usage: ")
    yield from ("", "```text", usage, "```", "", *_help(command), *_options(context))
    if isinstance(command, click.Group):
        for below in sorted(command.list_commands(context)):
            found = command.get_command(context, below)
            if found is not None and not found.hidden:
                yield from described(below, found, context)


def _help(command: click.Command) -> Iterator[str]:
    """The help; a paragraph that click leaves as it is becomes a block of code."""
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(command.help or "")):
        if not paragraph.startswith("\b"):
            yield from (_plain(paragraph), "")
            continue
        lines = paragraph.splitlines()[1:]
        if lines and not lines[0].startswith(" ") and lines[0].endswith(":"):
            yield from (lines.pop(0), "")
        yield from ("```text", *inspect.cleandoc("\n" + "\n".join(lines)).splitlines(), "```", "")


def _options(context: click.Context) -> Iterator[str]:
    records = [
        record
        for one in context.command.get_params(context)
        if isinstance(one, click.Option) and (record := one.get_help_record(context))
    ]
    if records:
        yield from ("| option | what it does |", "|---|---|")
    for names, said in records:
        yield f"| `{names}` | {_plain(said).replace('|', '&#124;')} |"
    yield ""


def _plain(text: str) -> str:
    """Text as it stands: Markdown and HTML see no marks of theirs in it."""
    return re.sub(r"([\\`*_\[\]{}#])", r"\\\1", html.escape(" ".join(text.split()), quote=False))
