"""A small store with a model in which every text that a stranger could have written is hostile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import synthetic_store as toy
from linear_predictor import Linear

from featurestore.identity import text_id
from featurestore.store import FeatureStore
from train.training import train_model

SCRIPT = "<script>document.title='owned'</script>"
ID = f"../../{SCRIPT}?&#\"'"
FORMULA = "Na<img src=x onerror=\"document.title='owned'\">"
PROPERTY = "<b onclick='alert(1)'>gap</b>"
TEXT = f"He said \"x\" & 'y' {SCRIPT} \x1b[31m\u202e{{{{ 7 * 7 }}}} ."
NOTE = f"site: {SCRIPT}"
# The toy's tables, with one material more.
N = 61


def make_hostile_store(folder: Path, patch: pytest.MonkeyPatch) -> tuple[FeatureStore, str]:
    """The store, and the id of its model; the toy's property has a hostile name while ``patch``."""
    patch.setattr(toy, "PROPERTY", PROPERTY)
    store = toy.make_store(folder, N - 1, structure_segments=(("atom", 0, 1), ("bond", 1, 4)))
    strange = {"source_file": SCRIPT, "dataset": SCRIPT, "prototype": SCRIPT, "notes": [NOTE]}
    row = toy._material(64) | {"material_id": ID, "formula": FORMULA} | strange
    store.merge_rows("materials", [row])
    common = {"material_id": ID, "property": PROPERTY, "run_id": "toy-run"}
    store.merge_rows("properties", [common | {"source": "toy", "value": -90.0, "unit": "eV"}])
    store.merge_rows("splits", [common | {"split": toy.SPLIT, "fold": "test"}])
    sentence = {
        "structure_id": "structure-64",
        "generator_id": "robocrystallographer_0000000003",
        "position": 0,
        "tag": "summary",
        "reference_tags": [],
        "sentence": TEXT,
        "run_id": "toy-run",
    }
    store.merge_rows("sentences", [sentence])
    vectors = {"structure-64": toy.structure_vector(64)}
    toy._merge_vectors(store, "structure", toy.STRUCTURE_ENCODER, "structure_id", vectors)
    texts = {text_id(TEXT): toy.text_vector([TEXT]), text_id(""): np.zeros(3, "f4")}
    toy._merge_vectors(store, "text", toy.TEXT_ENCODER, "text_id", texts)
    with store.run("toy-run", {"said": SCRIPT}) as run:
        failure = {"stage": SCRIPT, "item": ID, "context": SCRIPT, "error": "E", "message": SCRIPT}
        store.merge_rows("failures", [failure | {"run_id": run.run_id}])
    view = store.training_view(PROPERTY, **toy.view_request("structure+text"))
    first = train_model(store, view, Linear(0.05), 0).model
    train_model(store, view, Linear(0.05), 1)
    train_model(store, store.training_view(PROPERTY, **toy.view_request("structure")), Linear(), 0)
    return store, first.model_id
