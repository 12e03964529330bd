"""An embedding feature store for materials: LanceDB tables, DuckDB SQL, content identity.

The classes and functions that programs use are here; each is imported when it is first asked for,
so that the command line's help needs neither Arrow nor DuckDB.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from featurestore.lazy import lazily

if TYPE_CHECKING:
    from featurestore.crystal import Crystal
    from featurestore.errors import FeatureStoreError
    from featurestore.query.result import QueryResult
    from featurestore.search.hits import Among, Hits
    from featurestore.search.map import SpaceMap, space_map
    from featurestore.store import FeatureStore
    from featurestore.views.define import define_feature_set
    from featurestore.views.request import ViewRequest
    from featurestore.views.view import TrainingView

__all__ = [
    "Among",
    "Crystal",
    "FeatureStore",
    "FeatureStoreError",
    "Hits",
    "QueryResult",
    "SpaceMap",
    "TrainingView",
    "ViewRequest",
    "define_feature_set",
    "space_map",
]

# Lance warns of every commit that lost a race and is tried again; the store reports what matters.
os.environ.setdefault("LANCE_LOG", "error")
os.environ.setdefault("LANCEDB_LOG", "error")

__getattr__, __dir__ = lazily(
    __name__,
    {
        "Among": "featurestore.search.hits",
        "Crystal": "featurestore.crystal",
        "FeatureStore": "featurestore.store",
        "FeatureStoreError": "featurestore.errors",
        "Hits": "featurestore.search.hits",
        "QueryResult": "featurestore.query.result",
        "SpaceMap": "featurestore.search.map",
        "TrainingView": "featurestore.views.view",
        "ViewRequest": "featurestore.views.request",
        "define_feature_set": "featurestore.views.define",
        "space_map": "featurestore.search.map",
    },
)
