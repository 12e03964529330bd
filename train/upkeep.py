"""What a store lacks since new data came, models included, and the commands that make it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from featurestore.catalogue import stored_properties
from featurestore.commands import Command, run, training_command
from featurestore.errors import FeatureStoreError
from featurestore.identity import canonical_json
from featurestore.output.display import Showing, Shown
from featurestore.property_rules import rule_in_force
from featurestore.quality.status import CHOICES, LEVELS, MODELS, SPLITS, Lack, lacking
from featurestore.session import Session
from featurestore.splits import ALL_PROPERTIES, WHOLE_SUFFIX, families
from featurestore.store import FeatureStore
from featurestore.views.sql import view_sql
from train.models import StoredModel, stored_models
from train.predictors.registry import changed_settings, recipe_names

#: Fold and target of each material of a view, by the query.
_Views = dict[str, dict[str, tuple[str, Any]]]


@dataclass(frozen=True, repr=False)
class Status(Shown):
    """What is lacking.

    Parameters
    ----------
    lacks : tuple of Lack
        In the order in which it is made.
    """

    lacks: tuple[Lack, ...]

    def commands(self, skip: Collection[str] = ()) -> list[Command]:
        """What makes it, each once, without the levels that are skipped."""
        found = [one.command for one in self.lacks if one.level not in skip]
        return [command for command in dict.fromkeys(found) if command is not None]

    @property
    def table(self) -> pa.Table:
        """level, name, n and what."""
        columns = {
            "level": [one.level for one in self.lacks],
            "name": [one.name for one in self.lacks],
            "n": [one.n for one in self.lacks],
            "what": [one.what for one in self.lacks],
        }
        return pa.table(columns)

    def showing(self) -> Showing:
        """What is lacking."""
        title = f"{len(self.lacks)} things are lacking" if self.lacks else "Nothing is lacking"
        return Showing(title, {}, self.table if self.lacks else None)


def status(store: FeatureStore) -> Status:
    """What a store lacks since new data came.

    Texts and vectors of the versions in use, folds of splits whose rule says where new materials
    belong, models whose view has other materials or targets by now, and choices that are the
    user's: sources without a rule, or that disagree.
    """
    with store.session() as session:
        found = lacking(session)
        extended = {
            (one.name, one.command[-1]) for one in found if one.level == SPLITS and one.command
        }
        found += _models(session, extended)
    order = (*LEVELS, CHOICES)
    return Status(tuple(sorted(found, key=lambda one: order.index(one.level))))


def update(
    store: FeatureStore, *, skip: Collection[str] = (), said: Callable[[Command], Any] = print
) -> list[Command]:
    """Make what is lacking, level by level: what one makes decides what the next one lacks.

    Parameters
    ----------
    store : FeatureStore
        Written to, by the commands of the command line.
    skip : collection of {"text", "vectors", "splits", "models"}
        Levels that are left as they are.
    said : callable
        Is told each command before it runs.

    Returns
    -------
    list of tuple of str
        The commands that ran. A run that was cut off goes on with the same call.

    Raises
    ------
    FeatureStoreError
        As the first command that fails does.
    """
    done: list[Command] = []
    for level in LEVELS:
        others = {one for one in (*LEVELS, CHOICES) if one != level}
        for command in status(store).commands(others | set(skip)):
            said(command)
            run((*command, "--store", store.uri))
            done.append(command)
    return done


def _models(session: Session, extended: Collection[tuple[str, str]]) -> Iterator[Lack]:
    """The newest model of each kind and seed whose view has other rows, or soon will have."""
    newest: dict[tuple[Any, ...], StoredModel] = {}
    for model in stored_models(session):  # oldest first
        newest[_kind(model)] = model
    of = {one: name for (name, _), members in families(session).items() for one in members}
    views: _Views = {}
    for model in newest.values():
        p = model.parameters
        try:
            n, what, source = _difference(session, model, views)
        except FeatureStoreError as error:
            message = f"view cannot be made any more: {error}"
            yield Lack(level=CHOICES, name=model.model_id, n=1, what=message, command=None)
            continue
        split = of.get(p.split or "", p.split or "")
        if not n and {(split, p.property), (split, ALL_PROPERTIES)} & set(extended):
            n, what = 1, "split that is to be extended"
        if n:
            command = None
            if model.predictor in recipe_names():
                changed = changed_settings(model.predictor, model.settings, bool(p.classes))
                how = "fit"
                if model.cross_validation and p.split is not None:
                    how, p = "final", replace(p, split=p.split.removesuffix(WHOLE_SUFFIX))
                command = training_command(p, model.predictor, changed, model.seed, source, how)
            yield Lack(level=MODELS, name=model.model_id, n=n, what=what, command=command)


def _kind(model: StoredModel) -> tuple[Any, ...]:
    """What a model shares with the one that would be trained in its place."""
    p = model.parameters
    view = {**p.as_dict(), "property_source": None, "where_sources": None, "unit": None}
    crossed = bool(model.cross_validation)
    settings = canonical_json(model.settings)
    return (model.predictor, settings, model.seed, canonical_json(view), crossed)


def _difference(session: Session, model: StoredModel, views: _Views) -> tuple[int, str, str | None]:
    """How many rows of a model's view differ by now, in words, and the source to be named.

    Views that are known already, those of another seed, are taken from and added to ``views``.
    """
    p = model.parameters
    if model.cross_validation and p.split is not None:
        # it learns from all that its cross-validation has; which fold stops it is all the same
        p = replace(p, split=p.split.removesuffix(WHOLE_SUFFIX) + "/0")
    rule = rule_in_force(session, p.property)
    source = p.property_source if rule is None else rule.text
    sql = view_sql(replace(p, property_source=source))
    if sql not in views:
        rows = session.read_only_query(sql).select(["material_id", "fold", "target"])
        views[sql] = {one["material_id"]: (one["fold"], one["target"]) for one in rows.to_pylist()}
    now = views[sql]
    seen = session.query(
        "SELECT material_id, fold, target FROM predictions WHERE model_id = ?", [model.model_id]
    ).to_pylist()
    then = {row["material_id"]: (row["fold"], row["target"]) for row in seen}
    if model.cross_validation:
        now = {one: ("", target) for one, (_, target) in now.items()}
        then = {one: ("", target) for one, (_, target) in then.items()}
    # a removal takes the predictions, too
    removed = session.query(
        "SELECT name FROM removals WHERE kind = 'material' AND list_contains(models, ?)",
        [model.model_id],
    )["name"].to_pylist()
    new = len(now.keys() - then.keys())
    gone = len({*then, *removed} - now.keys())
    changed = sum(now[one] != then[one] for one in now.keys() & then.keys())
    counts = {"new": new, "changed": changed, "gone": gone}
    words = ", ".join(f"{n:,} {what}" for what, n in counts.items() if n)
    named = rule is None and len(stored_properties(session, p.property)) > 1
    return new + changed + gone, f"materials of its view differ: {words}", source if named else None
