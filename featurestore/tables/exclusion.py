"""Commands that change what others stand on, and those others, keep out of each other's way.

A restoration, a migration, a removal or a renaming takes away rows that a command under way has
seen already; what that one writes later would refer to what is gone. So such a command and any
other that writes exclude each other. The lock is the record of runs: whoever starts writes its own
row first and reads the others' after, and Lance commits in one order, on disk as in a bucket; so of
two at least one sees the other, and gives way.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from featurestore.errors import FeatureStoreError

#: Commands beside which no other writes.
EXCLUSIVE = ("snapshot restore", "migrate", "verify", "remove", "rename")


class BusyStoreError(FeatureStoreError):
    """Another command is under way that this one cannot run beside."""


def check_alone(command: str, run_id: str, under_way: Iterable[dict[str, Any]]) -> None:
    """Raise if another run is under way that this one cannot run beside.

    Parameters
    ----------
    command, run_id : str
        Of the run that starts; its own row is written already.
    under_way : iterable of dict
        The rows of ``runs`` without an end whose process is not known to be gone.

    Raises
    ------
    BusyStoreError
        Naming the other one, and what to do if it has ended unseen.
    """
    for row in under_way:
        if row["run_id"] == run_id or not {command, row["command"]} & set(EXCLUSIVE):
            continue
        began = row["started_at"]
        since = f" since {began:%Y-%m-%d %H:%M} UTC" if began is not None else ""
        raise BusyStoreError(
            f"'featurestore {row['command']}' (run {row['run_id']}) is under way{since}, and "
            f"'featurestore {command}' cannot run beside it; run this again when it has ended. If "
            "it was killed on another machine, say so with: "
            f"featurestore maintain --ended {row['run_id']}"
        )
