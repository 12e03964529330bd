"""Plain downloads over HTTP, whole or not at all."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from pathlib import Path

from featurestore.output.progress import progress_bar
from ingest.weights.archives import MAXIMUM_BYTES
from ingest.weights.package_index import DownloadError

_TIMEOUT = 60.0
_CHUNK = 2**20


def download(url: str, target: Path) -> None:
    """Fetch ``url`` into ``target``, which appears only once it is whole.

    Raises
    ------
    DownloadError
        If the server does not answer, refuses, stops early, or sends more than the size limit.
    """
    temporary = target.with_name(target.name + ".part")
    request = urllib.request.Request(url, headers={"User-Agent": "materials-featurestore"})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
            announced = response.headers.get("Content-Length")
            _receive(response, int(announced) if announced else None, target.name, temporary)
        temporary.replace(target)
    except (urllib.error.URLError, OSError, http.client.HTTPException, ValueError) as error:
        raise DownloadError(
            f"could not fetch {url}: {error}; check the network, or get the files elsewhere and "
            "name their folder with `--from`"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _receive(
    response: http.client.HTTPResponse, announced: int | None, name: str, path: Path
) -> None:
    received = 0
    with path.open("wb") as file, progress_bar(announced, name, "B") as bar:
        while chunk := response.read(_CHUNK):
            received += len(chunk)
            if received > MAXIMUM_BYTES:
                raise ValueError(f"the server sends more than {MAXIMUM_BYTES} bytes")
            file.write(chunk)
            bar.update(len(chunk))
    if announced is not None and received != announced:
        raise ValueError(f"the server stopped after {received} of {announced} bytes")
