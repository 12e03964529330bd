"""Work in forked processes that may be killed: this process never touches Lance.

Lance's threads would not survive a fork, so whatever opens a store runs in a child.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import time
import traceback
from collections.abc import Callable
from typing import Any

HANGS_AFTER = 900.0  # on a machine that others use, too
FINISHED, REFUSED, BROKEN = 0, 3, 4


def started(work: Callable[[], Any], environment: dict[str, str] | None = None) -> tuple[int, int]:
    """Do the work in a forked process; its id, and where its pickled result can be read."""
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        return process, reading
    code = BROKEN
    try:
        os.close(reading)
        os.setpgid(0, 0)
        os.environ.update(environment or {})
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        try:
            result, code = work(), FINISHED
        except BaseException as error:
            from featurestore.errors import FeatureStoreError

            code = REFUSED if isinstance(error, FeatureStoreError) else BROKEN
            result = traceback.format_exc()
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(result, pipe)
    finally:
        os._exit(code)


def ended(process: int, reading: int, within: float) -> tuple[int | None, Any]:
    """Wait for a process; its exit code and result, the code None if it had to be killed."""
    import select

    with os.fdopen(reading, "rb") as pipe:
        ready, _, _ = select.select([pipe], [], [], within)
        if not ready:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)
        answer = pipe.read() if ready else b""
    _, status = os.waitpid(process, 0)
    code = os.waitstatus_to_exitcode(status)
    return (code if code >= 0 else None), (pickle.loads(answer) if answer else None)


def done(work: Callable[[], Any]) -> Any:
    """The result of work in a process of its own; an error there is one here."""
    code, result = ended(*started(work), HANGS_AFTER)
    if code != FINISHED:
        raise RuntimeError(f"exit code {code}: {result}")
    return result


def kill_at(work: Callable[[], Any], seconds: float) -> bool:
    """Start the work and kill it after so long; whether it was still at it."""
    process, reading = started(work)
    time.sleep(seconds)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)
    os.close(reading)
    _, status = os.waitpid(process, 0)
    return os.WIFSIGNALED(status)
