"""The descriptions of a material, and what their parts do where that is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from explain.erasing.kinds import ERASURES
from explain.erasing.texts import erased_texts
from explain.words.contributions import Contributions, stored_contributions
from explain.words.description import Description, describe
from featurestore.catalogue import generators
from featurestore.errors import FeatureStoreError, MissingContentError
from featurestore.session import Session
from train.models import SeedGroup, seed_groups, stored_models


@dataclass(frozen=True)
class Text:
    """A description, with what its sentences or words do where a model's effects are stored."""

    description: Description
    generator_id: str
    contributions: tuple[Contributions, ...]


def texts_of_material(session: Session, material_id: str) -> tuple[Text, ...]:
    """The descriptions of a material by every generator that has described it."""
    found = []
    for generator in generators(session):
        try:
            description = describe(session, material_id, generator.generator_id)
        except MissingContentError:
            continue
        effects = _contributions(session, description)
        found.append(Text(description, generator.generator_id, effects))
    return tuple(found)


def _contributions(session: Session, description: Description) -> tuple[Contributions, ...]:
    """What is stored of the effects of this text's parts, for each model."""
    measured = session.query(
        "SELECT DISTINCT model_id FROM erasures WHERE material_id = ? AND "
        "(contains(variant, ':word:') OR contains(variant, ':sentence:'))",
        [description.material_id],
    )["model_id"].to_pylist()
    if not measured:
        return ()
    groups = [
        group
        for group in seed_groups(stored_models(session))
        if set(group.model_ids) & set(measured)
    ]
    found = []
    for group in groups:
        for text in erased_texts(session, group.first):
            if text.generator.generator_id != description.generator_id:
                continue
            for kind in ("word", "sentence"):
                for erasure in ERASURES:
                    one = _stored(session, group, text, description, kind, erasure)
                    found += [one] if one is not None else []
    return tuple(found)


def _stored(
    session: Session, group: SeedGroup, text: Any, description: Description, kind: str, how: str
) -> Contributions | None:
    try:
        return stored_contributions(session, group, text, description, kind, how)
    except FeatureStoreError:
        return None  # a text of one sentence has no others to be compared with
