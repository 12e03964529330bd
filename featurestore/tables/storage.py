"""Where a store is: a local folder or a prefix in an object store, and which tables it has."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from featurestore.errors import InvalidInputError, StorageError, StoreNotFoundError
from featurestore.redaction import redacted

_SUFFIX = ".lance"
# Names become part of SQL: a folder of another name is no table.
_TABLE = re.compile(r"([a-z0-9_]+)\.lance")
# Lies in a place while a backup into it is not complete.
UNFINISHED = "unfinished-backup.json"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_ENDPOINT_OPTIONS = ("aws_endpoint", "endpoint", "aws_endpoint_url", "endpoint_url")


@dataclass(frozen=True)
class Storage:
    """A folder or bucket prefix that holds tables.

    Use `Storage.at`.

    Parameters
    ----------
    uri : str
        A local path, or ``s3://bucket/prefix``; without a slash at its end.
    options : mapping of str to str
        Options of the object store, handed to Lance. They are never shown.
    """

    uri: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def at(cls, uri: str | Path, options: Mapping[str, str] | None = None) -> Storage:
        """The storage at a path or URI; credentials come from the environment or ``options``.

        Raises
        ------
        InvalidInputError
            If the URI carries credentials or has lost a slash.
        """
        place = str(uri)
        if place.startswith("file://"):
            place = place.removeprefix("file://")
        scheme = _SCHEME.match(place)
        if scheme is None:
            if re.match(r"(s3|s3a|gs|az|abfss?):/", place):
                raise InvalidInputError(
                    f"{place!r} is no URI; give it as a string with two slashes: s3://bucket/prefix"
                )
            return cls(str(Path(place).expanduser()))
        if "@" in place or "?" in place:
            raise InvalidInputError(
                "the URI of a store carries no credentials and no options; name the bucket and "
                "prefix alone, as in s3://bucket/prefix, and set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, in the environment"
            )
        if not place[scheme.end() :].strip("/"):
            raise InvalidInputError(f"{place!r} names no bucket; for example s3://bucket/prefix")
        return cls(place.rstrip("/"), _complete(options or {}))

    @property
    def is_local(self) -> bool:
        """Whether this is a folder of this machine's file system."""
        return "://" not in self.uri

    @property
    def lance_options(self) -> dict[str, str] | None:
        """The options as Lance takes them."""
        return dict(self.options) or None

    def table_uri(self, name: str) -> str:
        """Where the table of that name is, whether or not it exists."""
        return f"{self.uri}/{name}{_SUFFIX}"

    def table_names(self) -> list[str]:
        """Names of the tables that exist, sorted.

        Raises
        ------
        StorageError
            If the folder or bucket cannot be read.
        """
        with storage_errors(f"list the tables in {self.uri}"):
            found = self._local_names() if self.is_local else self._remote_names()
        if UNFINISHED in found:
            raise StoreNotFoundError(
                f"{self.uri} is an unfinished backup; run featurestore backup {self.uri} again on "
                "its source to complete it"
            )
        return sorted(match[1] for name in found if (match := _TABLE.fullmatch(name)))

    def check(self) -> None:
        """Raise unless a store is here or could be made here.

        Raises
        ------
        StoreNotFoundError
            If the place is a file or a folder with other files.
        StorageError
            If the folder cannot be read.
        """
        if not self.is_local:
            return
        path = Path(self.uri)
        try:
            if path.exists() and not path.is_dir():
                raise StoreNotFoundError(f"{path} is a file; a store is a folder")
            found = {entry.name for entry in path.iterdir()} if path.is_dir() else set()
            if found and not any(name.endswith(_SUFFIX) or name == UNFINISHED for name in found):
                raise StoreNotFoundError(
                    f"{path} is a folder with other files in it, not a store; name another folder"
                )
        except OSError as error:
            raise StorageError(f"cannot read the folder {path}: {error}") from error

    def _local_names(self) -> list[str]:
        try:
            return [path.name for path in Path(self.uri).iterdir()]
        except FileNotFoundError:
            return []

    def _remote_names(self) -> list[str]:
        from lance.file import LanceFileSession  # Lance's own client, so one set of credentials

        session = LanceFileSession(self.uri, storage_options=self.lance_options)
        found = session.list_with_delimiter()
        return [path.rstrip("/") for path in (*found.common_prefixes, *found.objects)]


@contextmanager
def storage_errors(action: str, hint: str = "") -> Iterator[None]:
    """Raise what the storage refuses as a `StorageError`: "cannot ``action``", why, ``hint``."""
    try:
        yield
    # Lance raises any of these, a ValueError for a damaged file among them.
    except (OSError, RuntimeError, ValueError) as error:
        after = f". {hint}" if hint else ""
        raise StorageError(f"cannot {action}: {error}{after}") from hiding(error)


def hiding(error: BaseException) -> BaseException | None:
    """``error`` as the cause of another, or None where its text would show a credential."""
    return error if redacted(str(error)) == str(error) else None


def _complete(options: Mapping[str, str]) -> dict[str, str]:
    """Options with what Lance does not derive itself.

    An endpoint that says http:// is meant, but Lance refuses it without ``allow_http``; and Lance
    reads ``AWS_ENDPOINT_URL``, but not the form of it for S3 alone.
    """
    complete = dict(options)
    given = next((options[name] for name in _ENDPOINT_OPTIONS if name in options), None)
    endpoint = given or next((os.environ[n] for n in _ENDPOINTS if os.environ.get(n)), None)
    if endpoint is not None:
        if given is None:
            complete["aws_endpoint"] = endpoint
        if endpoint.startswith("http://"):
            complete.setdefault("allow_http", "true")
        if not (
            {"region", "aws_region"} & set(options)
            or os.environ.get("AWS_REGION")
            or os.environ.get("AWS_DEFAULT_REGION")
        ):
            complete["region"] = "us-east-1"
    return complete
