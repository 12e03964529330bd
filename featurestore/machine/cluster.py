"""A Ray cluster that is there already: its address, what a worker takes of it, and the connection.

Ray is connected to as late as the first worker is wanted, and only after its port has answered:
``ray.init`` waits a quarter of an hour for an address where nothing is. Its notices of workers that
died go to the standard output; there they would run into results, so that they are sent to the
standard error. No credential is handed to Ray: workers have those of their own node.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TextIO, cast

from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.machine.workers import WorkersError

#: In place of an address: a cluster of this machine alone, which ends with the command.
LOCAL = "local"

_ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]):(?P<port>\d{1,5})")
_SECONDS_FOR_AN_ANSWER = 5.0
_RAY_THREADS = "ray_"


@dataclass(frozen=True)
class Cluster:
    """Where workers run, and how much of it each takes.

    Parameters
    ----------
    address : str
        ``HOST:PORT`` of the head node, or `LOCAL`.
    cpus_per_worker, gpus_per_worker : float
        Of a node, for each worker; numerical libraries get as many threads as it has processors.

    Raises
    ------
    InvalidInputError
        If the address has another form.
    """

    address: str
    cpus_per_worker: float = 1.0
    gpus_per_worker: float = 0.0

    def __post_init__(self) -> None:
        if self.address != LOCAL and not _ADDRESS.fullmatch(self.address):
            raise InvalidInputError(
                f"{self.address!r} is no address of a Ray cluster; give HOST:PORT of its head "
                "node, for example 10.0.0.5:6379, or 'local' to try it out on this machine"
            )

    def capacity(self) -> int:
        """Workers for which the cluster has room.

        Raises
        ------
        WorkersError
            If the cluster does not answer, or has no room for one.
        """
        has = connected(self).cluster_resources()
        room = has.get("CPU", 0.0) / self.cpus_per_worker
        if self.gpus_per_worker:
            room = min(room, has.get("GPU", 0.0) / self.gpus_per_worker)
        if room < 1:
            raise WorkersError(
                f"the Ray cluster {self.address} has {has.get('CPU', 0):g} CPUs and "
                f"{has.get('GPU', 0):g} GPUs: no room for a worker that takes "
                f"{self.cpus_per_worker:g} and {self.gpus_per_worker:g}"
            )
        return int(room)


_chosen: ContextVar[Cluster | None] = ContextVar("cluster", default=None)


def chosen_cluster() -> Cluster | None:
    """The cluster of the `on_cluster` block around, if any."""
    return _chosen.get()


@contextmanager
def on_cluster(cluster: Cluster | None) -> Iterator[None]:
    """Let stages within the block run on a cluster; None changes nothing.

    Raises
    ------
    WorkersError
        If it does not answer, here and not after the first minutes of work.
    MissingDataError
        If Ray is not installed.
    """
    if cluster is None:
        yield
        return
    _check_there(cluster)
    token = _chosen.set(cluster)
    try:
        yield
    finally:
        _chosen.reset(token)
        _disconnect()


def connected(cluster: Cluster) -> Any:
    """The module ``ray``, connected to the cluster.

    Raises
    ------
    WorkersError
        If the cluster refuses.
    """
    ray = _ray()
    if ray.is_initialized():
        return ray
    place: dict[str, Any] = {"address": cluster.address}
    if cluster.address == LOCAL:
        # Its processes listen on this machine alone.
        place = {"address": LOCAL, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    in_main_thread = threading.current_thread() is threading.main_thread()
    on_terminate = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**place, log_to_driver=False, logging_level="warning", configure_logging=True)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise WorkersError(f"the Ray cluster {cluster.address} refuses: {error}") from error
    finally:
        if in_main_thread:
            signal.signal(signal.SIGTERM, on_terminate)
    if not isinstance(sys.stdout, _WithoutNotices):
        sys.stdout = cast("TextIO", _WithoutNotices(sys.stdout))
    return ray


def _disconnect() -> None:
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        # It prints what notices it has kept back.
        with redirect_stdout(sys.stderr):
            ray.shutdown()
    if isinstance(sys.stdout, _WithoutNotices):
        sys.stdout = sys.stdout.stream


def _ray() -> Any:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
    except ImportError as error:
        raise MissingDataError(
            f"a cluster needs Ray, which is not installed ({error}): "
            "pip install 'materials-featurestore[ray]'"
        ) from error
    return ray


def _check_there(cluster: Cluster) -> None:
    """Raise unless Ray is installed and something answers at the address."""
    _ray()
    match = _ADDRESS.fullmatch(cluster.address)
    if match is None:
        return
    place = match["host"].strip("[]"), int(match["port"])
    try:
        socket.create_connection(place, _SECONDS_FOR_AN_ANSWER).close()
    except (OSError, OverflowError) as error:
        raise WorkersError(
            f"no Ray cluster answers at {cluster.address} ({error}); 'ray start --head' prints the "
            "address of one, and 'ray status' says whether it lives"
        ) from error


class _WithoutNotices:
    """The standard output without what Ray's threads write: that goes to the standard error."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        if threading.current_thread().name.startswith(_RAY_THREADS):
            return sys.stderr.write(text)
        return self.stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)
