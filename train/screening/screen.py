"""Candidates predicted, held against what is wanted, ranked and chosen."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.registry import load_registry
from featurestore.store import FeatureStore
from featurestore.stored_structures import stored_crystals
from train.forecasts.calibration import UNCALIBRATED
from train.forecasts.chosen import named_group, properties_with_models
from train.forecasts.forecast import Forecast
from train.forecasts.group import LoadedGroup, group_id
from train.forecasts.predictor import Predictor
from train.forecasts.result import Forecasts
from train.screening.candidates import (
    OUTSIDE,
    Material,
    Told,
    best_known,
    known_values,
    materials_of,
    told_of,
    without_twins,
)
from train.screening.choice import Choice
from train.screening.classes import resolved
from train.screening.distribution import ScoredErrors
from train.screening.ranking import chosen_rows, pareto_front
from train.screening.result import Screening
from train.screening.rules import check_rule, joint, scores
from train.screening.wants import Want, check_unit, combined, plausible_window


def screen(
    store: FeatureStore,
    wants: Sequence[str | Want],
    sources: str | Path | Sequence[str | Path] = (),
    *,
    ids: Sequence[str] = (),
    where: str | None = None,
    models: Sequence[str] = (),
    choice: Choice | None = None,
    keep: bool = True,
    dataset: str | None = None,
    id_from: str = "stem",
) -> Screening:
    """Choose among candidates by what is wanted of several properties.

    Parameters
    ----------
    store : FeatureStore
        Where the models are; read, and written unless ``keep`` is false.
    wants : sequence of str or Want
        What is wanted, as ``"ehull < 0.05"``.
    sources, ids, where, dataset, id_from
        The candidates, as for `Predictor.predict`.
    models : sequence of str
        Models by id or its beginning; other properties are predicted by their promoted models, or
        the only ones.
    choice : Choice, optional
        How many are chosen, and by which rule.
    keep : bool
        Whether candidates and forecasts are stored.

    Raises
    ------
    InvalidInputError
        If the wants cannot be read or contradict each other, no candidate is named, or all are
        outside the domain while they must be inside.
    UnknownNameError
        If a property, a model, a material or the rule is unknown.
    MissingDataError
        If a property has no model, or its models say nothing of their errors.
    """
    choice = choice or Choice()
    asked = combined(wants)
    registry = load_registry()
    windows = {want.property: plausible_window(want, registry) for want in asked}
    check_rule(choice.rule, asked)
    with ExitStack() as stack:
        predictor = stack.enter_context(
            Predictor(store, _to_choose(store, asked, models), models=models, keep=keep)
        )
        groups = {group.parameters.property: group for group in predictor.groups}
        for want in asked:
            check_unit(want, groups[want.property].parameters.unit)
        asked = tuple(resolved(want, groups[want.property].parameters.unit) for want in asked)
        place, forecasts = stack.enter_context(
            predictor.predicting(sources, ids=ids, where=where, dataset=dataset, id_from=id_from)
        )
        loaded = {name: predictor.loaded(group_id(group)) for name, group in groups.items()}
        return _screened(store, place, asked, windows, loaded, forecasts, choice)


def _to_choose(store: FeatureStore, wants: Sequence[Want], models: Sequence[str]) -> list[str]:
    """The wanted properties whose models are not named.

    Raises
    ------
    UnknownNameError
        If nobody knows a property.
    InvalidInputError
        If a named model is of another property, or two are of one.
    """
    wanted = [want.property for want in wants]
    registry = load_registry()
    with store.session() as session:
        rows = session.query("SELECT DISTINCT property FROM properties")["property"]
        known = {*registry.properties, *rows.to_pylist(), *properties_with_models(session)}
        for name in wanted:
            if name not in known:
                raise UnknownNameError("property", name, known)
        named = {group_id(g): g for g in (named_group(session, one) for one in models)}
    of_models = [group.parameters.property for group in named.values()]
    for group in named.values():
        name = group.parameters.property
        if name not in wanted:
            raise InvalidInputError(
                f"model {group.first.model_id} is of {name}, of which nothing is wanted; leave it "
                f"out, or say what with --want '{name} …'"
            )
        if of_models.count(name) > 1:
            raise InvalidInputError(f"two models of {name} are named; name one of them")
    return [name for name in wanted if name not in of_models]


def _screened(
    store: FeatureStore,
    place: FeatureStore,
    wants: Sequence[Want],
    windows: Mapping[str, Want],
    groups: Mapping[str, LoadedGroup],
    forecasts: Forecasts,
    choice: Choice,
) -> Screening:
    """The forecasts, ranked and chosen from; the candidates' rows are in ``place``."""
    notes = forecasts.remarks()
    names = list(dict.fromkeys(row.material_id for row in forecasts.rows))
    said: dict[str, dict[str, Forecast]] = {want.property: {} for want in wants}
    for row in forecasts.rows:
        said[row.property][row.material_id] = row
    structures = {row.material_id: row.structure_id for row in forecasts.rows}
    stored = {
        name: known_values(store, name, str(group.parameters.property_source), structures)
        for name, group in groups.items()
    }
    known = {name: {} if choice.predict_known else values for name, values in stored.items()}
    names = _complete(names, said, known, notes)
    with place.session() as session:
        materials = _once(materials_of(session, names), known, notes)
    hidden = frozenset(names) if choice.predict_known else frozenset()
    best = {}
    for want in wants:
        best[want.property] = float("nan")
        if want.goal is not None:
            others = [one for one in wants if one.goal is None]
            group = groups[want.property]
            best[want.property], note = best_known(group, want, stored, others, hidden)
            notes += [] if note is None else [note]

    def told(of: Sequence[Material]) -> list[Told]:
        return [
            told_of(
                groups[want.property],
                want,
                windows[want.property],
                of,
                said[want.property],
                known[want.property],
                best[want.property],
            )
            for want in wants
        ]

    found = told(materials)
    outside = _outside(found)
    if choice.inside:
        inside = [one for one, why in zip(materials, outside, strict=True) if not why]
        if materials and not inside:
            raise InvalidInputError(
                f"all candidates ({len(materials):,}) are outside the domain of the models, as "
                f"{materials[0].material_id} ({outside[0]}); without --inside they are ranked and "
                f"flagged{_beside(forecasts)}"
            )
        if len(inside) < len(materials):
            notes.append(f"{len(materials) - len(inside):,} candidates outside the domain left out")
        materials, found = inside, told(inside)
        outside = _outside(found)
    notes += _notes(found, groups, outside)
    return _chosen(place, materials, found, outside, groups, choice, forecasts, notes)


def _beside(forecasts: Forecasts) -> str:
    """What a refusal has to say of files and materials that were not predicted at all."""
    if not forecasts.failures:
        return ""
    name, failure = next(iter(forecasts.failures.items()))
    others = len(forecasts.failures)
    return f". {others:,} could not be predicted, as {name}: {failure.message}"


def _complete(
    names: Sequence[str],
    said: Mapping[str, Mapping[str, Forecast]],
    known: Mapping[str, Mapping[str, float]],
    notes: list[str],
) -> list[str]:
    """Materials of which every property is predicted or known."""
    found = [name for name in names if all(name in said[one] or name in known[one] for one in said)]
    if len(found) < len(names):
        first = next(name for name in names if name not in set(found))
        notes.append(
            f"{len(names) - len(found):,} candidates lack a value of a wanted property and are "
            f"left out, as {first}"
        )
    return found


def _once(
    materials: Sequence[Material], known: Mapping[str, Mapping[str, float]], notes: list[str]
) -> list[Material]:
    """Each structure once."""
    by_id = {one.material_id: one for one in materials}
    structures = {name: one.structure_id for name, one in by_id.items()}
    of_each = {name: sum(name in values for values in known.values()) for name in by_id}
    names, dropped = without_twins(list(by_id), structures, of_each)
    if dropped:
        name, other = dropped[0]
        notes.append(
            f"{len(dropped):,} candidates have the structure of another and are listed once, as "
            f"{name} with {other}"
        )
    return [by_id[name] for name in names]


def _outside(told: Sequence[Told]) -> list[str]:
    """For each material why it is outside the domain of a model; empty where it is not."""
    reasons = zip(*(one.outside() for one in told), strict=True)
    return ["; ".join(word for word in words if word) for words in reasons]


def _notes(
    told: Sequence[Told], groups: Mapping[str, LoadedGroup], outside: Sequence[str]
) -> list[str]:
    found = []
    for one in told:
        name, knowledge = one.want.property, groups[one.want.property].knowledge
        calibration = knowledge.calibration
        number = int(one.is_known.sum())
        if number:
            found.append(
                f"{name}: {number:,} of {len(one.known):,} values are known and stand in place of "
                "predictions"
            )
        if one.want.classes:
            found.append(f"{name}: probabilities of classes as the models give them")
        elif isinstance(one.outlook.values.errors, ScoredErrors):
            found.append(
                f"{name}: probabilities by the signed errors of {calibration.n_rows:,} "
                + ("validation rows" if knowledge.cross is None else "materials out of fold")
            )
        else:
            found.append(
                f"{name}: {UNCALIBRATED}, probabilities are rough: those of a normal distribution"
            )
    if len(told) > 1:
        found.append(
            "the joint probability is the product over the wants, as if the errors of different "
            "properties were independent; however they depend on each other, it is at least "
            "joint_at_least and at most joint_at_most"
        )
    number = sum(1 for why in outside if why)
    if number:
        found.append(
            f"{number:,} of {len(outside):,} candidates are outside the domain of a model (an "
            f"element it never saw, or farther than {OUTSIDE:.0f} % of its training materials): "
            "do not trust their probabilities"
        )
    return found


def _chosen(
    place: FeatureStore,
    materials: Sequence[Material],
    told: Sequence[Told],
    outside: Sequence[str],
    groups: Mapping[str, LoadedGroup],
    choice: Choice,
    forecasts: Forecasts,
    notes: list[str],
) -> Screening:
    outlooks = [one.outlook for one in told]
    score, all_wants = scores(choice.rule, outlooks), joint(outlooks)
    done = np.logical_and.reduce([one.is_known for one in told])
    barred = np.logical_or.reduce([one.missed for one in told]) | np.isneginf(score)
    if choice.acquire is not None:
        if done.any():
            notes.append(
                f"{int(done.sum()):,} candidates are not chosen: all wanted of them is known"
            )
        barred |= done
    names = [one.material_id for one in materials]
    keys = list(zip(barred, -score, -all_wants, names, strict=True))
    order = sorted(range(len(materials)), key=keys.__getitem__)
    eligible = [row for row in order if not barred[row]]
    rows = chosen_rows(eligible, choice.budget, _caps(materials, choice))
    if len(rows) < choice.budget:
        notes.append(
            f"{len(rows):,} chosen, of a budget of {choice.budget:,}: "
            + (
                f"there are no more than {len(materials):,} candidates"
                if len(rows) == len(materials)
                else "no other candidate may fulfil the wants within the limits for its family"
            )
        )
    objectives = [
        one.outlook.probability
        if one.want.goal is None
        else one.outlook.values.centre * (1 if one.want.seeks_largest() else -1)
        for one in told
    ]
    with place.session() as session:
        wanted = {materials[row].structure_id: materials[row].material_id for row in rows}
        crystals = {wanted[key]: one for key, one in stored_crystals(session, list(wanted))}
    return Screening(
        materials=tuple(materials),
        told=tuple(told),
        score=score,
        joint=all_wants,
        pareto=pareto_front(np.stack(objectives, axis=1)),
        outside=tuple(outside),
        order=tuple(order),
        chosen=tuple(rows),
        choice=choice,
        crystals=crystals,
        models=tuple(group.stored for group in groups.values()),
        notes=tuple(dict.fromkeys(notes)),
        failures=forecasts.failures,
        passed_over=forecasts.passed_over,
    )


def _caps(materials: Sequence[Material], choice: Choice) -> list[tuple[Sequence[Hashable], int]]:
    caps: list[tuple[Sequence[Hashable], int]] = []
    if choice.per_prototype is not None:
        families = [(one.prototype, one.space_group) for one in materials]
        caps.append((families, choice.per_prototype))
    if choice.per_chemsys is not None:
        caps.append(([one.elements for one in materials], choice.per_chemsys))
    return caps
