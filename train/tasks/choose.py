"""Which task a property is, by what stands in place of its unit."""

from __future__ import annotations

from featurestore.catalogue import find_property
from featurestore.classes import classes_of
from featurestore.store import FeatureStore
from train.tasks.base import Task
from train.tasks.classes import Classes
from train.tasks.numbers import Numbers


def task_of(unit: str) -> Task:
    """Classification where the unit names classes, else regression."""
    classes = classes_of(unit)
    return Classes(classes) if classes else Numbers(unit)


def has_classes(store: FeatureStore, property: str, source: str | None = None) -> bool:
    """Whether a stored property has classes.

    Raises
    ------
    UnknownNameError, InvalidInputError
        If no material has it, or it has several sources and none is chosen.
    """
    with store.session() as session:
        _, unit = find_property(session, property, source)
    return bool(classes_of(unit))
