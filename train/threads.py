"""Small trainings in one thread: more of them wait for each other longer than they compute.

Of 40 rows two threads take as long as one, and of 500 a third more processor time. The rows alone
decide, never how busy a machine is: with another number of threads the bytes are others.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits

#: Trainings on as many rows have one thread.
FEW_ROWS = 1_000


@contextmanager
def threads_for(rows: int) -> Iterator[None]:
    """Give numerical libraries one thread where the rows are few, and back what they had.

    The setting is the process's.
    """
    if rows > FEW_ROWS:
        yield
        return
    torch = sys.modules.get("torch")
    before = None if torch is None else torch.get_num_threads()
    with threadpool_limits(1):
        try:
            if torch is not None:
                torch.set_num_threads(1)
            yield
        finally:
            if torch is not None:
                torch.set_num_threads(before)
