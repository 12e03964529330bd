"""A view that was asked for under old names: found under today's, and itself under the old ones."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pyarrow as pa

from featurestore.identity import canonical_json
from featurestore.property_rules import is_rule
from featurestore.renames import MATERIAL, PROPERTY, SOURCE, SPLIT, Renamed
from featurestore.views.features import PropertyFeature, stored_feature
from featurestore.views.parameters import ViewParameters
from featurestore.views.sql import view_sql
from featurestore.views.view import TrainingView


def parameters_now(parameters: ViewParameters, renames: Iterable[Renamed]) -> ViewParameters:
    """A view's parameters under the names of today.

    The text of its condition stays what it is: a condition that names what was renamed holds for
    nothing, or is refused.

    Parameters
    ----------
    parameters : ViewParameters
        As a model says them.
    renames : iterable of Renamed
        Those since, oldest first.
    """
    for one in renames:
        parameters = _after(parameters, one)
    return parameters


def source_after(source: str, old: str, new: str) -> str:
    """A source, or a rule that names it, after a source was renamed."""
    if not is_rule(source):
        return new if source == old else source
    way, _, rest = source.partition(" ")
    named, end = json.JSONDecoder().raw_decode(rest)
    return f"{way} {canonical_json([new if one == old else one for one in named])}{rest[end:]}"


def feature_after(feature: str, one: Renamed) -> str:
    """A resolved feature after a property or a source of it was renamed."""
    found = stored_feature(feature)
    if not isinstance(found, PropertyFeature):
        return feature
    if one.kind == PROPERTY and found.name == one.old:
        return str(replace(found, name=one.new))
    if one.kind == SOURCE and found.name == one.property and found.source is not None:
        return str(replace(found, source=source_after(found.source, one.old, one.new)))
    return feature


def view_then(
    view: TrainingView, parameters: ViewParameters, renames: Iterable[Renamed]
) -> TrainingView:
    """A view with the names that it had, in the order that they gave: its fingerprint is of these.

    Parameters
    ----------
    view : TrainingView
        Made under the names of today.
    parameters : ViewParameters
        As they were.
    renames : iterable of Renamed
        Those since, oldest first.
    """
    then: dict[str, str] = {}
    for one in renames:
        if one.kind == MATERIAL:
            then[one.new] = then.pop(one.old, one.old)
    ids = [then.get(name, name) for name in view.material_ids]
    order = np.array(sorted(range(len(ids)), key=ids.__getitem__), dtype=np.int64)
    place = view.rows.schema.get_field_index("material_id")
    rows = view.rows.set_column(place, "material_id", pa.array(ids, pa.string())).take(order)
    return replace(
        view,
        parameters=parameters,
        sql=view_sql(parameters),
        rows=rows,
        features=view.features[order],
    )


def _after(p: ViewParameters, one: Renamed) -> ViewParameters:
    if one.kind == SPLIT:
        return replace(p, split=one.new) if p.split == one.old else p
    if one.kind not in (PROPERTY, SOURCE):
        return p
    inputs = tuple(feature_after(feature, one) for feature in p.inputs)
    named = p.where_classes
    if one.kind == PROPERTY:
        named = tuple(one.new if name == one.old else name for name in named)
        pairs = [(one.new if name == one.old else name, of) for name, of in p.where_sources]
        name, source = one.new if p.property == one.old else p.property, p.property_source
    else:
        pairs = [
            (name, source_after(of, one.old, one.new) if name == one.property else of)
            for name, of in p.where_sources
        ]
        name, source = p.property, p.property_source
        if name == one.property:
            source = source_after(source, one.old, one.new)
    return replace(
        p,
        property=name,
        property_source=source,
        inputs=inputs,
        where_sources=tuple(pairs),
        where_classes=named,
    )
