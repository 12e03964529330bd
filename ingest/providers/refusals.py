"""What can go wrong with a provider: its answers, its links, its keys."""

from __future__ import annotations

from featurestore.errors import FeatureStoreError


class ProviderError(FeatureStoreError):
    """A provider does not answer, refuses, or answers what cannot be used."""


class ExpiredLinkError(ProviderError):
    """A provider refuses a request that it would have to understand: a link has expired."""
