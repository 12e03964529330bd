"""Where a user's own copies of what can be made or fetched again are kept: outside of any store."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(name: str) -> Path:
    """``$FEATURESTORE_CACHE/NAME``, else ``featurestore/NAME`` in the user's cache folder."""
    if root := os.environ.get("FEATURESTORE_CACHE"):
        return Path(root).expanduser() / name
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "featurestore" / name
