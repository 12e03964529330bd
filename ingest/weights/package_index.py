"""Distributions of the package index, fetched by pip so that its mirrors and proxies hold."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal

from featurestore.errors import FeatureStoreError

Form = Literal["wheel", "sdist"]


class DownloadError(FeatureStoreError):
    """A file could not be fetched; the message names it and what to try."""


def download_distribution(requirement: str, form: Form, folder: Path) -> Path:
    """Fetch one distribution without its dependencies and without installing it.

    Parameters
    ----------
    requirement : str
        A pinned requirement, for example ``"alignn==2023.7.1"``.
    form : {"wheel", "sdist"}
        Which kind of file. For a source distribution pip also prepares its metadata, which needs
        the build requirements from the same index.
    folder : Path
        Where the file goes.

    Raises
    ------
    DownloadError
        If pip is missing or fails; the message ends with pip's own last error line.
    """
    name = requirement.partition("==")[0]
    binary = "--only-binary" if form == "wheel" else "--no-binary"
    before = set(folder.iterdir())
    # With its cache pip keeps a file twice, and a disk that this fills looks like a cut network.
    command = [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--disable-pip-version-check"),
        *("--no-cache-dir", "--quiet", binary, name, "--dest", str(folder), requirement),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        lines = [line.strip() for line in result.stderr.splitlines() if line.strip()]
        # Newer versions of pip say a code after "error:" and what it means after a cross.
        errors = [line.removeprefix("× ") for line in lines if line.startswith("× ")]
        errors = errors or [line for line in lines if "error" in line.lower()] or lines
        reason = errors[-1] if errors else f"exit code {result.returncode}"
        advice = (
            f"check the network or pip's index settings (`{sys.executable} -m pip config list`)"
        )
        if os.strerror(errno.ENOSPC) in reason:
            through = tempfile.gettempdir()
            advice = f"it goes through {through} (TMPDIR) to {folder}: make room there"
        raise DownloadError(
            f"could not fetch {requirement} ({form}) from the package index: {reason}; {advice}"
        )
    [path] = set(folder.iterdir()) - before
    return path
