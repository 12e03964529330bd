"""A training view as users ask for it, by names."""

from __future__ import annotations

import builtins
from dataclasses import dataclass

FEATURES = ("structure", "text", "structure+text")
# No vectors: targets and folds, for a model that reads the structures themselves.
GRAPH = "graph"
# Any list of features, as `featurestore.views.features` describes them.
COMBINED = "combined"
FOLDS = ("train", "val", "test")


@dataclass(frozen=True)
class ViewRequest:
    """A training view as a user names it.

    The short form is one structure encoder, one text encoder with a text source, or both. The long
    form is a list of features, or the name of a stored one.

    Parameters
    ----------
    property : str
        For example ``"mbj_bandgap"``.
    features : {"structure", "text", "structure+text", "graph"}, optional
        Short form: which vectors make up the feature matrix; none for "graph". By default those
        whose encoders are named.
    text_source, structure_encoder, text_encoder : str
        Short form: names or ids; needed as far as ``features`` needs them.
    variant : str
        Short form: ``full``, ``without:TAG,…`` or ``only:TAG,…``.
    split : str
        Only materials with a fold in this split.
    property_source : str
        Needed where the property comes from several sources.
    inputs : tuple of str
        Long form: features in order, for example ``("alignn-ff.atom", "minilm:chemnlp",
        "sql:n_atoms")``.
    feature_set : str
        Long form: a stored feature set, ``NAME`` for its newest version or ``NAME@VERSION``.
    where : str
        Only materials for which this SQL condition over ``materials`` and properties holds.
    """

    property: str
    features: str | None = None
    text_source: str | None = None
    structure_encoder: str | None = None
    text_encoder: str | None = None
    variant: str = "full"
    split: str | None = None
    property_source: str | None = None
    inputs: tuple[str, ...] = ()
    feature_set: str | None = None
    where: str | None = None

    @builtins.property
    def short_features(self) -> str | None:
        """The short form's vectors: those that are asked for, else those whose encoders are."""
        named = {"structure": self.structure_encoder, "text": self.text_encoder}
        return self.features or "+".join(part for part, name in named.items() if name) or None
