"""An embedding feature store for materials: LanceDB tables, DuckDB SQL, content identity."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featurestore.store import FeatureStore
    from featurestore.views.view import TrainingView

__all__ = ["FeatureStore", "TrainingView"]

# Lance warns of every commit that lost a race and is tried again; the store reports what matters.
os.environ.setdefault("LANCE_LOG", "error")
os.environ.setdefault("LANCEDB_LOG", "error")

_HOMES = {"FeatureStore": "featurestore.store", "TrainingView": "featurestore.views.view"}


def __getattr__(name: str) -> Any:
    """Import on first use: the command line's help needs neither Arrow nor DuckDB."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'featurestore' has no attribute {name!r}")
