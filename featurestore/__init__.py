"""An embedding feature store for materials: LanceDB tables, DuckDB SQL, content identity."""

from featurestore.store import FeatureStore
from featurestore.views import TrainingView

__all__ = ["FeatureStore", "TrainingView"]
