"""A query under way: pages turned into records, and how far it has come put on record."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from featurestore.errors import FeatureStoreError
from featurestore.redaction import HIDDEN
from featurestore.store import FeatureStore
from featurestore.tables.soundness import object_or_empty
from ingest.providers.http import PoliteClient
from ingest.providers.optimade.databases import Database
from ingest.providers.optimade.pages import Page, Place, pages
from ingest.providers.optimade.records import page_records
from ingest.providers.refusals import ExpiredLinkError
from ingest.structures.records import MaterialRecord

COMMAND = "optimade"


@dataclass
class Reading:
    """Reads what a query gives, from where an earlier run of the same stopped.

    An error of the provider ends the records, so that those before it are stored; it is then
    in ``stopped``.

    Parameters
    ----------
    client : PoliteClient
    database : Database
    question : str
        A digest of all that decides the answer.
    first, fewer : Place
        The first page, and the same without a wish for the size of pages.
    start : Place
        Where to begin.
    columns : mapping of str to str
        The property that each field is taken as.
    limit : int, optional
        Most entries, those of earlier runs counted.
    nearest_order : bool
        Whether disordered sites are ordered.
    keep : callable
        Puts facts on record.
    """

    client: PoliteClient
    database: Database
    question: str
    first: Place
    fewer: Place
    start: Place
    columns: Mapping[str, str]
    limit: int | None
    nearest_order: bool
    keep: Callable[[Mapping[str, Any]], None]
    stopped: FeatureStoreError | None = None
    notes: list[str] = field(default_factory=list)
    _read: int = 0
    _stored: int = 0
    _done: deque[tuple[int, Place | None]] = field(default_factory=deque)
    _at: Place | None = None

    def records(self) -> Iterator[MaterialRecord]:
        """The records of the pages, at most those up to the limit."""
        self._at = self.start
        self._keep()
        try:
            try:
                yield from self._from(self.start)
            except ExpiredLinkError as error:
                if self._read or self.start == self.first:
                    raise
                self.notes.append(
                    f"the page where an earlier run stopped is no longer served ({error}): begun "
                    "again from the first"
                )
                yield from self._from(self.first)
        except FeatureStoreError as error:
            self.stopped = error

    def written(self, count: int) -> None:
        """So many records more are stored: the pages that are whole need not be asked for again."""
        self._stored += count
        place, is_new = self._at, False
        while self._done and self._done[0][0] <= self._stored:
            _, place = self._done.popleft()
            is_new = True
        if is_new:
            self._at = place
            self._keep()

    def _from(self, start: Place) -> Iterator[MaterialRecord]:
        for page in pages(self.client, start, fewer=self.fewer if start == self.first else None):
            left = None if self.limit is None else self.limit - page.place.entries
            if left is not None and left <= 0:
                return
            records = page_records(page, self.database, self.columns, self.nearest_order)
            for record in islice(records, left):
                self._read += 1
                yield record
            if left is None or left >= len(page.entries):
                self._done.append((self._read, page.following))
            if page.following is None:
                self._compare(page)
            elif left is not None and left <= len(page.entries):
                return

    def _compare(self, page: Page) -> None:
        came, matches = page.place.entries + len(page.entries), page.meta.matches
        if matches is not None and came < matches and not page.meta.more:
            self.notes.append(
                f"the provider counts {matches:,} structures for this filter and gave {came:,}"
            )

    def _keep(self) -> None:
        meta = self.database.meta
        self.keep(
            {
                "question": self.question,
                "provider": meta.provider or self.database.name,
                "implementation": meta.implementation,
                "api_version": meta.api_version,
                "url": self.database.url,
                "next": None if self._at is None else self._at.url,
                "entries_before": None if self._at is None else self._at.entries,
            }
        )


def where_it_stopped(store: FeatureStore, question: str) -> tuple[Place, str] | None:
    """Where the latest run with the same question stopped, and its id; None if it came to its end.

    A link that held a credential is not on record and gives None, too.
    """
    with store.session() as session:
        runs = session.query(
            "SELECT run_id, arguments FROM runs WHERE command = ? ORDER BY started_at DESC",
            [f"ingest {COMMAND}"],
        ).to_pylist()
    for run in runs:
        answered = object_or_empty(run["arguments"]).get("answered")
        if isinstance(answered, dict) and answered.get("question") == question:
            url, entries = answered.get("next"), answered.get("entries_before")
            if not isinstance(url, str) or HIDDEN in url or type(entries) is not int:
                return None
            return Place(url, max(entries, 0)), run["run_id"]
    return None
