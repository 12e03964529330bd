"""Reading ahead and writing behind: the two ends of a stage's pipeline, each in its own thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Full, Queue
from threading import Event, Thread
from types import TracebackType
from typing import Generic, TypeVar

Item = TypeVar("Item")

_SECONDS_BETWEEN_LOOKS = 0.1


@dataclass(frozen=True)
class _End:
    """After the last item, or in the place of the one that could not be read."""

    error: BaseException | None = None


@contextmanager
def read_ahead(items: Iterable[Item], ahead: int) -> Iterator[Iterator[Item]]:
    """The same items in the same order, up to ``ahead`` of them read before they are asked for.

    An error of the source is raised where its item would have come. On leaving, the reading
    thread has ended.
    """
    ready: Queue[Item | _End] = Queue(maxsize=ahead)
    left = Event()

    def put(entry: Item | _End) -> None:
        while not left.is_set():
            try:
                ready.put(entry, timeout=_SECONDS_BETWEEN_LOOKS)
                return
            except Full:
                continue

    def read() -> None:
        try:
            for item in items:
                put(item)
                if left.is_set():
                    return
        except BaseException as error:
            put(_End(error))
        else:
            put(_End())

    def take() -> Iterator[Item]:
        while not isinstance(entry := ready.get(), _End):
            yield entry
        if entry.error is not None:
            raise entry.error

    thread = Thread(target=read, name="read-ahead", daemon=True)
    thread.start()
    try:
        yield take()
    finally:
        left.set()
        thread.join()


class WriteBehind(Generic[Item]):
    """Writes batches one after another while the caller goes on; at most one is under way.

    An error of a write is raised by the next `submit`, or on leaving.

    Parameters
    ----------
    write : callable
        Takes one batch; called from one other thread.
    """

    def __init__(self, write: Callable[[Item], None]) -> None:
        self._write = write
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="write-behind")
        self._under_way: Future[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether a batch would be written at once."""
        return self._under_way is None or self._under_way.done()

    def submit(self, batch: Item) -> None:
        """Write a batch as soon as the one before is written; waits for that one."""
        self._finish()
        self._under_way = self._thread.submit(self._write, batch)

    def _finish(self) -> None:
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()

    def __enter__(self) -> WriteBehind[Item]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._finish()
        finally:
            self._thread.shutdown()
