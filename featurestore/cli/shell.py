"""The interactive SQL shell: completion, history, statements over several lines."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import click
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from featurestore.cli.rows import print_rows
from featurestore.errors import FeatureStoreError, UnknownNameError
from featurestore.query.guard import Watch
from featurestore.query.limits import SqlLimits
from featurestore.query.running import run_query
from featurestore.query.statements import is_complete
from featurestore.query.vocabulary import Vocabulary, load_vocabulary, macro_help
from featurestore.quoting import identifier
from featurestore.session import Session
from featurestore.store import FeatureStore

_ROWS_SHOWN = 200
_COMMANDS = {
    ".help": "this list",
    ".tables": "the tables, and the macros with their parameters",
    ".schema NAME": "the columns of a table, or what a macro does",
    ".quit": "leave, as does Ctrl-D",
}
_PROMPT, _CONTINUED = "sql> ", "...> "


class Shell:
    """Reads statements until it is told to quit; no error ends it.

    Every statement sees the store as it is at that moment.

    Parameters
    ----------
    store : FeatureStore
        Where the queries go.
    output_format : str
        How rows are printed; see `print_table`.
    limits : SqlLimits, optional
        What a statement may take.
    watch : Watch, optional
        What is told when a statement begins and ends.
    """

    def __init__(
        self,
        store: FeatureStore,
        output_format: str,
        limits: SqlLimits | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._store = store
        self._format = output_format
        self._limits = limits
        self._watch = watch or Watch()
        with store.session() as session:
            self._vocabulary = load_vocabulary(session)

    def run(self, **terminal: Any) -> None:
        """Prompt, run and print; ``terminal`` are arguments of `prompt_toolkit.PromptSession`."""
        prompt: PromptSession[str] = PromptSession(
            **{"history": _history()} | terminal,
            multiline=True,
            prompt_continuation=_CONTINUED,
            completer=_NameCompleter(lambda: self._vocabulary),
            complete_while_typing=False,
            key_bindings=_keys(),
        )
        click.echo(
            f"{self._store.uri}: statements end with ; and only read. "
            ".help lists commands, Tab completes, Ctrl-C cancels a query, Ctrl-D leaves."
        )
        while True:
            try:
                text = prompt.prompt(_PROMPT)
            except KeyboardInterrupt:
                continue
            except EOFError:
                return
            if not self.execute(text.strip()):
                return

    def execute(self, text: str) -> bool:
        """Run what was typed and print its result or error; False once it says to quit."""
        try:
            if text.startswith("."):
                return self._command(text.rstrip(";"))
            with self._store.session(self._limits) as session:
                for statement in session.statements(text):
                    with self._watch.query():
                        rows = run_query(session, statement)
                    self._print(rows)
                self._vocabulary = load_vocabulary(session)
        except FeatureStoreError as error:
            click.echo(f"Error: {error}", err=True)
        except KeyboardInterrupt:
            click.echo("cancelled", err=True)
        return True

    def _print(self, table: Any) -> None:
        print_rows(table.slice(0, _ROWS_SHOWN), self._format)
        if table.num_rows > _ROWS_SHOWN:
            click.echo(
                f"the first {_ROWS_SHOWN} of {table.num_rows:,} rows; all of them go into a file "
                "with: featurestore sql QUERY -o FILE",
                err=True,
            )

    def _command(self, text: str) -> bool:
        name, _, argument = text.partition(" ")
        if name in (".quit", ".exit"):
            return False
        if name == ".help":
            for command, meaning in _COMMANDS.items():
                click.echo(f"  {command:14} {meaning}")
        elif name == ".tables":
            for table, columns in self._vocabulary.tables.items():
                click.echo(f"  {table:48} {len(columns)} columns")
            for macro, parameters in self._vocabulary.macros.items():
                click.echo(f"  {macro}({parameters})")
        elif name == ".schema":
            self._schema(argument.strip())
        else:
            raise UnknownNameError("command", name, [c.split()[0] for c in _COMMANDS])
        return True

    def _schema(self, name: str) -> None:
        documented = macro_help(name)
        if documented is not None:
            click.echo(documented)
            return
        with self._store.session() as session:
            if name not in load_vocabulary(session).tables:
                known = [*self._vocabulary.tables, *self._vocabulary.macros]
                raise UnknownNameError("table or macro", name, known)
            self._print(_described(session, name))


def _described(session: Session, name: str) -> Any:
    return session.query(f"SELECT column_name, column_type FROM (DESCRIBE {identifier(name)})")


class _NameCompleter(Completer):
    """Completes from a vocabulary that grows as the store does."""

    def __init__(self, vocabulary: Callable[[], Vocabulary]) -> None:
        self._vocabulary = vocabulary

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterator[Completion]:
        before = document.text_before_cursor
        if before.startswith("."):
            for command in _COMMANDS:
                if command.startswith(before):
                    yield Completion(command.split()[0], start_position=-len(before))
            if not before.startswith(".schema "):
                return
        for word, kind, replaced in self._vocabulary().completions(before):
            yield Completion(word, start_position=-len(replaced), display_meta=kind)


def _keys() -> KeyBindings:
    """Enter runs a complete statement or a command, and else starts a new line."""
    keys = KeyBindings()

    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        text = event.current_buffer.text.strip()
        if not text or text.startswith(".") or is_complete(text):
            event.current_buffer.validate_and_handle()
        else:
            event.current_buffer.insert_text("\n")

    return keys


def _history() -> History:
    """Lines typed before, from a file that only its owner can read; in memory if there is none."""
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    path = Path(base).expanduser() / "featurestore" / "sql_history"
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        if os.access(path, os.R_OK | os.W_OK):
            return FileHistory(path)
    return InMemoryHistory()


def run_shell(store: FeatureStore, output_format: str, limits: SqlLimits, watch: Watch) -> None:
    """Run a shell on this terminal; unlike Ctrl-C, SIGTERM ends it."""
    signal.signal(signal.SIGTERM, _end)
    Shell(store, output_format, limits, watch).run()


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
