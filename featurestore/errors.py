"""The errors a user can meet; each names the culprit and, where there is one, the fix."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable, Sequence

from featurestore.messages import for_users


class FeatureStoreError(Exception):
    """Base of all errors that are reported as one line, without a traceback (exit code 1).

    Credentials in the message are hidden, and paths of the machine that built a library.

    Attributes
    ----------
    commands : tuple of tuple of str
        The commands that mend what is wrong, each as its words; empty where none is known.
    """

    commands: tuple[tuple[str, ...], ...] = ()

    def __init__(self, message: str = "") -> None:
        super().__init__(for_users(message))


class DamagedRowsWarning(UserWarning):
    """Rows of a store that cannot be used are left out; the message names the first of them."""


class MissingRowsWarning(UserWarning):
    """A table is older than what runs or snapshots say was written to it."""


class NameOrderWarning(UserWarning):
    """A query compares a formula or chemical system with one that is written in another order."""


class InvalidInputError(FeatureStoreError):
    """A file or value from outside cannot be used."""


class InvalidRowsError(FeatureStoreError):
    """Rows offered to a table break its schema, its key or its invariants."""


class ConflictError(FeatureStoreError):
    """A row with the same key but other content is in the store already."""


class StoreNotFoundError(FeatureStoreError):
    """There is no store at the given place."""


class MissingDataError(FeatureStoreError):
    """The store lacks rows that a command needs; the message says how to make them."""


class MissingContentError(MissingDataError):
    """Texts or vectors are missing that commands can make.

    Parameters
    ----------
    message : str
        What is missing; the commands are put below it.
    commands : iterable of sequence of str
        What makes it, in order, each as its words.
    """

    def __init__(self, message: str, commands: Iterable[Sequence[str]]) -> None:
        self.message = message
        self.commands = tuple(dict.fromkeys(tuple(command) for command in commands))
        listed = "".join(f"\n  {shlex.join(command)}" for command in self.commands)
        super().__init__(f"{message}. Run:{listed}" if listed else message)

    def with_commands(self, commands: Iterable[Sequence[str]]) -> MissingContentError:
        """The same error with other commands that do the same."""
        return MissingContentError(self.message, commands)


class StorageError(FeatureStoreError):
    """The folder or bucket of the store refused a read or a write."""


class ReadOnlyStoreError(FeatureStoreError):
    """A store that was opened as of a snapshot or a time was asked to write."""


class UnknownNameError(FeatureStoreError):
    """A name that the store or a registry does not know.

    Parameters
    ----------
    what : str
        What kind of thing was named, for example ``"property"``.
    name : str
        The unknown name.
    valid : iterable of str
        The names that would have been accepted; the nearest are put into the message.
    hint : str
        What else is put into it.
    otherwise : str
        What it says where nothing would have been accepted.
    """

    def __init__(
        self,
        what: str,
        name: str,
        valid: Iterable[str],
        hint: str = "",
        *,
        otherwise: str = "there is none yet",
    ) -> None:
        valid = sorted(set(valid))
        folded = {candidate.lower(): candidate for candidate in valid}
        near = difflib.get_close_matches(name.lower(), list(folded), n=3, cutoff=0.55)
        if near:
            suggestion = "did you mean " + " or ".join(repr(folded[n]) for n in near) + "?"
        elif valid:
            shown = valid[:10]
            more = "" if len(valid) <= 10 else f" and {len(valid) - 10} more"
            suggestion = "known: " + ", ".join(shown) + more
        else:
            suggestion = otherwise
        super().__init__(f"unknown {what} {name!r}; {suggestion}" + (f" {hint}" if hint else ""))
