"""The error of a training run that cannot give a usable predictor."""

from __future__ import annotations

from featurestore.errors import FeatureStoreError


class TrainingError(FeatureStoreError):
    """A training run left the range of finite numbers."""
