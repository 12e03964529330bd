"""A store with a property of two classes and one of three, made of linear targets."""

from __future__ import annotations

from pathlib import Path

import synthetic_store as toy

from featurestore.store import FeatureStore
from featurestore.upkeep.derivation import derive
from featurestore.views.request import ViewRequest
from ingest.library.splits import add_splits

GAP, SPLIT = toy.PROPERTY, toy.SPLIT
N = 120
UNKNOWN = "toy-004"
RULES = {
    "positive": f"{GAP} > 0",
    "size": f"CASE WHEN {GAP} > 1 THEN 'large' WHEN {GAP} > -1 THEN 'medium' ELSE 'small' END",
}


def request(name: str, features: str = "structure") -> ViewRequest:
    return ViewRequest(name, **toy.view_request(features))


def make_class_store(folder: Path) -> FeatureStore:
    """Linear targets made classes; one material has no class."""
    store = toy.make_store(folder, N, erased=toy.TAGS)
    for name, rule in RULES.items():
        derive(store, name, f"CASE WHEN material_id <> '{UNKNOWN}' THEN {rule} END")
        add_splits(store, like=GAP, name=SPLIT, property=name)
    return store
