"""A training view as users ask for it, by names."""

from __future__ import annotations

from dataclasses import dataclass

FEATURES = ("structure", "text", "structure+text")
# No vectors: targets and folds, for a model that reads the structures themselves.
GRAPH = "graph"
FOLDS = ("train", "val", "test")


@dataclass(frozen=True)
class ViewRequest:
    """A training view as a user names it.

    Parameters
    ----------
    property : str
        For example ``"mbj_bandgap"``.
    features : {"structure", "text", "structure+text", "graph"}
        Which vectors make up the feature matrix; none for "graph".
    text_source, structure_encoder, text_encoder : str
        Names or ids; needed as far as ``features`` needs them.
    variant : str
        ``full``, ``without:TAG,…`` or ``only:TAG,…``.
    split : str
        Only materials with a fold in this split.
    property_source : str
        Needed where the property comes from several sources.
    """

    property: str
    features: str = "structure+text"
    text_source: str | None = None
    structure_encoder: str | None = None
    text_encoder: str | None = None
    variant: str = "full"
    split: str | None = None
    property_source: str | None = None
