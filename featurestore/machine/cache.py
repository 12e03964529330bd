"""Where a user's own copies of what can be made or fetched again are kept: outside of any store."""

from __future__ import annotations

import os
from pathlib import Path

from featurestore.configuration.reading import read_configuration


def cache_folder(name: str) -> Path:
    """``NAME`` in the configured cache, else in ``featurestore`` of the user's cache folder.

    Configured is ``$FEATURESTORE_CACHE``, or ``cache`` in featurestore.toml.
    """
    if root := read_configuration().get("cache"):
        return Path(root).expanduser() / name
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "featurestore" / name
