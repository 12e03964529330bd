"""What a request for a training view resolves to."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from featurestore.catalogue import check_split, find_encoder, find_generator, find_property
from featurestore.classes import classes_of
from featurestore.errors import InvalidInputError
from featurestore.feature_sets import find_feature_set
from featurestore.query.conditions import (
    as_condition,
    properties_of_classes,
    property_sources,
)
from featurestore.session import Session
from featurestore.tables.soundness import view_problem
from featurestore.texts.variants import FULL, parse_variant
from featurestore.views.features import (
    Feature,
    VectorFeature,
    resolve_features,
    stored_feature,
    without_fingerprints,
)
from featurestore.views.request import COMBINED, FEATURES, GRAPH, ViewRequest

# Fields that came later: where they are empty, a view is the one that it was before them.
_LATER = ("inputs", "feature_set", "where", "where_sources", "where_classes")


@dataclass(frozen=True)
class ViewParameters:
    """What a training view was asked for, with every name resolved to an id.

    ``generator_id``, ``text_encoder`` and ``structure_encoder`` are None where ``features`` does
    not need them; ``split`` None means all materials, without folds. Where ``features`` is
    "combined", ``inputs`` are its features, and those fields are None.

    ``where_sources`` has each property that the condition ``where`` names, with its source;
    ``where_classes`` those of them that it knows by the names of their classes.
    """

    property: str
    property_source: str
    unit: str
    features: str
    generator_id: str | None
    structure_encoder: str | None
    text_encoder: str | None
    variant: str
    split: str | None
    inputs: tuple[str, ...] = ()
    feature_set: str | None = None
    where: str | None = None
    where_sources: tuple[tuple[str, str], ...] = ()
    where_classes: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> ViewParameters:
        """The parameters that `as_dict` gave.

        Raises
        ------
        ValueError
            If a field lacks, is unknown or has another type: anyone may have written the row.
        """
        problem = view_problem(stored)
        if problem is not None:
            raise ValueError(f"they have {problem}")
        sources = tuple((name, source) for name, source in stored.get("where_sources", ()))
        inputs = tuple(stored.get("inputs", ()))
        lists = {"inputs": inputs, "where_sources": sources}
        return cls(**{**stored, **lists, "where_classes": tuple(stored.get("where_classes", ()))})

    def as_dict(self) -> dict[str, Any]:
        """The parameters as JSON values; fields that came later only where they say something."""
        values = dict(vars(self)) | {
            "inputs": list(self.inputs),
            "where_sources": [list(pair) for pair in self.where_sources],
            "where_classes": list(self.where_classes),
        }
        return {name: value for name, value in values.items() if name not in _LATER or value}

    def identity(self) -> dict[str, Any]:
        """What decides the rows and columns: all but the name under which they were asked for."""
        return {name: value for name, value in self.as_dict().items() if name != "feature_set"}

    @builtins.property
    def classes(self) -> tuple[str, ...]:
        """The property's classes, of which its values are the places; none if it has numbers."""
        return classes_of(self.unit)

    @builtins.property
    def parts(self) -> tuple[Feature, ...]:
        """The features in the order of their columns."""
        if self.features == COMBINED:
            return tuple(map(stored_feature, self.inputs))
        found = []
        if self.structure_encoder is not None:
            found.append(VectorFeature(self.structure_encoder))
        if self.text_encoder is not None:
            found.append(VectorFeature(self.text_encoder, None, self.generator_id, self.variant))
        return tuple(found)

    @builtins.property
    def features_name(self) -> str:
        """The features in a few words, without ids."""
        if self.feature_set is not None:
            return self.feature_set
        return " + ".join(map(without_fingerprints, self.inputs)) or self.features

    @builtins.property
    def vectors(self) -> tuple[VectorFeature, ...]:
        """Those of the features that are vectors."""
        return tuple(part for part in self.parts if isinstance(part, VectorFeature))

    @builtins.property
    def texts(self) -> tuple[VectorFeature, ...]:
        """Those of the features that are vectors of texts."""
        return tuple(part for part in self.vectors if part.kind == "text")

    def with_variant(self, text: VectorFeature, variant: str) -> ViewParameters:
        """The parameters with one of the texts in another variant."""
        if self.features != COMBINED:
            return replace(self, variant=variant)
        other = str(replace(text, variant=variant))
        inputs = tuple(other if one == str(text) else one for one in self.inputs)
        return replace(self, inputs=inputs, feature_set=None)


def resolve(session: Session, request: ViewRequest) -> ViewParameters:
    """Turn names into ids.

    Raises
    ------
    UnknownNameError
        With the nearest known names.
    InvalidInputError
        If something that ``features`` needs is not named, a name is ambiguous, a feature is named
        twice, or the short and the long form are mixed.
    """
    r = request
    source, unit = find_property(session, r.property, r.property_source)
    if r.split is not None:
        check_split(session, r.split, r.property)
    if r.inputs or r.feature_set is not None:
        features = _long_form(session, r)
    else:
        features = _short_form(session, r)
    sources: dict[str, str] = {}
    if r.where is not None:
        as_condition(r.where)
        sources = property_sources(session, [r.where], source)
    return ViewParameters(
        property=r.property,
        property_source=source,
        unit=unit,
        split=r.split,
        where=r.where,
        where_sources=tuple(sources.items()),
        where_classes=properties_of_classes(session, sources),
        **features,
    )


def _short_form(session: Session, request: ViewRequest) -> dict[str, Any]:
    r, features = request, request.short_features
    if features is None:
        raise InvalidInputError(
            "name features: a structure encoder, a text encoder with its text source, a list of "
            "features, or a feature set"
        )
    if features not in (*FEATURES, GRAPH):
        raise InvalidInputError(f"features must be one of {', '.join(FEATURES)}; got {features!r}")
    needed: dict[str, dict[str, str | None]] = {
        GRAPH: {},
        "structure": {"a structure encoder": r.structure_encoder},
        "text": {"a text source": r.text_source, "a text encoder": r.text_encoder},
    }
    for part in features.split("+"):
        for what, given in needed[part].items():
            if given is None:
                raise InvalidInputError(f"features {features!r} need {what}")
    generator, text, structure, variant = None, None, None, FULL
    if "structure" in features:
        assert r.structure_encoder is not None
        structure = find_encoder(session, r.structure_encoder, "structure").encoder_id
    if "text" in features:
        assert r.text_source is not None and r.text_encoder is not None
        found = find_generator(session, r.text_source)
        variant = parse_variant(r.variant, found.tags, found.reference_tags)
        generator = found.generator_id
        text = find_encoder(session, r.text_encoder, "text").encoder_id
    return _fields(features, structure, text, generator, str(variant))


def _long_form(session: Session, request: ViewRequest) -> dict[str, Any]:
    r = request
    short = (r.features, r.text_source, r.structure_encoder, r.text_encoder)
    if any(short) or r.variant != str(FULL) or (r.inputs and r.feature_set is not None):
        raise InvalidInputError(
            "features are named in one way: a list of features, a feature set, or a structure "
            "encoder, a text encoder and a text source"
        )
    named, inputs = None, r.inputs
    if r.feature_set is not None:
        found = find_feature_set(session, r.feature_set)
        named, inputs = str(found), found.features
    parts = resolve_features(session, inputs, r.property)
    short_form = _as_short_form(parts)
    if short_form is not None:
        return short_form | {"feature_set": named}
    return _fields(COMBINED, None, None, None, str(FULL)) | {
        "inputs": tuple(map(str, parts)),
        "feature_set": named,
    }


def _as_short_form(parts: tuple[Feature, ...]) -> dict[str, Any] | None:
    """The short form that gives these columns, so that one view has one fingerprint."""
    vectors = [part for part in parts if isinstance(part, VectorFeature) and not part.segment]
    kinds = "+".join(part.kind for part in vectors)
    if len(vectors) != len(parts) or kinds not in FEATURES:
        return None
    of = {part.kind: part for part in vectors}
    structure, text = of.get("structure"), of.get("text")
    return _fields(
        kinds,
        structure.encoder_id if structure else None,
        text.encoder_id if text else None,
        text.generator_id if text else None,
        text.variant if text else str(FULL),
    )


def _fields(
    features: str, structure: str | None, text: str | None, generator: str | None, variant: str
) -> dict[str, Any]:
    return {
        "features": features,
        "generator_id": generator,
        "structure_encoder": structure,
        "text_encoder": text,
        "variant": variant,
    }
