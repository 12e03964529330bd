"""Sessions that stay open between requests, as long as the store's tables do not change."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from featurestore.errors import StoreNotFoundError
from featurestore.query.limits import SqlLimits, interrupted_after
from featurestore.session import QueryError, Session
from featurestore.store import FeatureStore

# To look for new versions takes half a millisecond in a folder, and a request a table in a bucket.
_SECONDS_BETWEEN_LOOKS = 0.5
_NO_LIMITS = SqlLimits()


class TooSlowError(QueryError):
    """What was asked took longer than it may."""


@dataclass(frozen=True)
class Source:
    """What an answer is made from.

    Parameters
    ----------
    store : FeatureStore
        The store, for its search and its models; it is only read.
    session : Session
        One state of its tables.
    folders : dict of str to int
        Which folders these are; see `_folders`.
    """

    store: FeatureStore
    session: Session
    folders: Mapping[str, int]

    @property
    def state(self) -> tuple[tuple[tuple[str, int], ...], ...]:
        """What names the state of the tables: the same state gives the same answers."""
        return tuple(sorted(self.session.versions.items())), tuple(sorted(self.folders.items()))


@dataclass
class _Kept:
    session: Session
    opened: AbstractContextManager[Session]
    folders: dict[str, int]
    looked: float = field(default_factory=time.monotonic)

    def close(self) -> None:
        self.opened.__exit__(None, None, None)


class Sessions:
    """Lends sessions over the newest state of a store, each to one caller at a time.

    Parameters
    ----------
    uri : str
        The store; it is opened at the first use, and again once it was out of reach.
    at : str or None
        A snapshot or time at which it is seen.
    limits : SqlLimits
        Of every query.
    most : int
        Sessions that are kept open.
    """

    def __init__(
        self, uri: str, at: str | None, limits: SqlLimits = _NO_LIMITS, most: int = 4
    ) -> None:
        self.uri, self.at, self.limits = uri, at, limits
        self._most = most
        self._lock = threading.Lock()
        self._store: FeatureStore | None = None
        self._idle: list[_Kept] = []
        self._lent: set[Session] = set()
        self._closed = False

    @contextmanager
    def source(self, seconds: float | None = None) -> Iterator[Source]:
        """A session for the length of a block.

        Parameters
        ----------
        seconds : float, optional
            After so long every query that the block has under way is stopped.

        Raises
        ------
        TooSlowError
            If one was.
        """
        kept = self._take()
        sound = False
        try:
            with interrupted_after(seconds, kept.session.interrupt) as late:
                try:
                    yield Source(self._opened(), kept.session, kept.folders)
                    sound = True
                except QueryError:
                    if late.is_set():
                        raise TooSlowError(
                            f"this took more than {seconds:g} s and was stopped; ask for less"
                        ) from None
                    raise
        finally:
            self._give_back(kept, sound)

    def interrupt(self) -> None:
        """Stop every query under way, and lend no more sessions."""
        with self._lock:
            self._closed = True
            lent = list(self._lent)
        for session in lent:
            session.interrupt()

    def _opened(self) -> FeatureStore:
        with self._lock:
            if self._store is None:
                self._store = FeatureStore.open(self.uri, at=self.at)
            return self._store

    def _take(self) -> _Kept:
        if self._closed:
            raise TooSlowError("the server is ending")
        store = self._opened()
        while True:
            with self._lock:
                kept = self._idle.pop() if self._idle else None
            if kept is None:
                folders = _folders(store)
                if not folders:
                    raise StoreNotFoundError(f"there is no store at {store.uri} any more")
                # The time is `source`'s: of two clocks for the same moment either may be first.
                opened = store.session(replace(self.limits, seconds=None))
                kept = _Kept(opened.__enter__(), opened, folders)
                break
            if self._is_current(store, kept):
                break
            kept.close()
        with self._lock:
            self._lent.add(kept.session)
        return kept

    def _give_back(self, kept: _Kept, sound: bool) -> None:
        with self._lock:
            self._lent.discard(kept.session)
            if sound and not self._closed and len(self._idle) < self._most:
                self._idle.append(kept)
                return
        kept.close()

    def _is_current(self, store: FeatureStore, kept: _Kept) -> bool:
        pause = _SECONDS_BETWEEN_LOOKS if "://" in store.uri else 0.0
        if self.at is not None or time.monotonic() - kept.looked < pause:
            return True
        if _folders(store) != kept.folders:
            return False
        for name in kept.folders:
            dataset: Any = kept.session.dataset(name)
            # A table of another form is left out of the session; another may be put in its place.
            if dataset is None or dataset.latest_version != kept.session.versions[name]:
                return False
        kept.looked = time.monotonic()
        return True


def _folders(store: FeatureStore) -> dict[str, int]:
    """The tables; of a local store with the number of each folder, which no other has.

    A store that was moved away and replaced may have tables of the same names and versions.
    """
    names = store.tables()
    if "://" in store.uri:
        return dict.fromkeys(names, 0)
    found = {}
    for name in names:
        try:
            found[name] = (Path(store.uri) / f"{name}.lance").stat().st_ino
        except OSError:
            found[name] = -1
    return found
