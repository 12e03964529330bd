"""What each kind of sentence does for a model's predictions, beside controls for its length.

Everything is a mean over the materials of a fold, on the property's scale. With e the absolute
error, averaged over seeds, and S the sentences of a tag, the measures are

- ``comprehensiveness``: e without S minus e with the full text (DeYoung et al., ERASER, ACL 2020;
  for a regression Li et al., Digital Discovery 2025, 4, 376). Positive where the model needs S.
- ``sufficiency``: e with S alone minus e with the full text. Small where S is enough.
- ``control``, ``control_words``: as comprehensiveness, but with as many random sentences, or words,
  of the whole text erased in place of S; a mean over the control's seeds. ``over_control`` and
  ``over_control_words`` are comprehensiveness minus these: what S does beyond its length.
- ``shapley``: the exact Shapley value of the tag in the game whose value is minus e with the tags
  of a set alone; over the tags they sum to e of the empty text minus e of the full text.
  ``interaction``: of a pair of tags in it.
- ``prediction_change``: the signed change of the prediction without S; ``shapley_prediction`` and
  ``interaction_prediction``: in the game whose value is the prediction itself.
- ``retrained``: the comprehensiveness where the model is trained without S, too.
- ``mae``: e itself; ``truncated``: the share of the texts that the encoder has cut.

Of a property of classes e is 1 - p_j, one less the probability of the class j that the model
predicts from the full text, so that comprehensiveness and sufficiency are ERASER's own; the
prediction of ``prediction_change`` is p_j.

An interval is a 95 % percentile bootstrap over materials, p that of a paired sign-flip test, and
``p_holm`` is Holm's correction over the tags of one measure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from explain.erasing.effects_table import WHOLE, Measure, StoredEffects, store_effects
from explain.erasing.missing import check_vectors
from explain.erasing.predictions import (
    Explained,
    VariantPredictions,
    explained_texts,
    predict_variants,
)
from explain.erasing.subsets import ALL, material_subsets
from explain.erasing.texts import ErasedText, erased_texts
from explain.tags.retrain import retrained_errors
from explain.tags.shapley import interactions, shapley_values
from featurestore.catalogue import Generator
from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.texts.variants import CONTROLS, FULL, Variant, subsets, without
from train.analysis.resampling import bootstrap_means, holm, interval, paired_difference
from train.models import SeedGroup, StoredModel, seed_groups

#: The measures that are tested against zero.
_TESTED = ("comprehensiveness", "over_control", "over_control_words", "retrained")
_MOST_TAGS = 8


@dataclass(frozen=True)
class TagAnalysis:
    """How tags are analysed.

    Parameters
    ----------
    fold : {"train", "val", "test"}
        Which rows: the materials of the fold for which each model's predictions are stored.
    tagger : {"store", "reference"}
        The store's one tag a sentence, or the overlapping ones of the reference implementation.
    erasure : {"deletion", "mask"}
        Whether sentences are deleted, or each of their words becomes [MASK].
    control_seeds : tuple of int
        Of the random controls; none for an analysis without controls.
    sets : bool
        Whether every set of tags is looked at: for sufficiency, Shapley values and interactions.
    by : str or None
        SQL expression over ``materials`` whose values make groups, or ``element``.
    at_least : int
        Smaller groups are put together; for ``element``, left out.
    retrain : bool
        Whether models are also trained without each tag.
    text : str or None
        The text source whose sentences are erased, where models read several texts; None for each
        of them in turn.
    """

    fold: str = "test"
    tagger: str = "store"
    erasure: str = "deletion"
    control_seeds: tuple[int, ...] = ()
    sets: bool = False
    by: str | None = None
    at_least: int = 10
    retrain: bool = False
    text: str | None = None

    def __post_init__(self) -> None:
        if self.erasure == "mask" and self.tagger == "reference":
            raise InvalidInputError(
                "masking goes with the store's tags: those of the reference overlap, so that no "
                "set of them says what is left; use --erasure deletion or --tagger store"
            )

    @property
    def rule(self) -> str:
        """The variants' rule."""
        return "mask" if self.erasure == "mask" else "without"

    def parameters(self, text: ErasedText) -> dict[str, Any]:
        """What an analysis of a text is stored with: the choices, and which of several texts."""
        return vars(self) | {"text": None if text.alone else text.name}


@dataclass(frozen=True)
class _Plan:
    """The tags that the texts of a fold have, and the variants that tell about them.

    ``shorthands`` has for each variant but the full text what a command may ask for in its place.
    """

    analysis: TagAnalysis
    tags: tuple[str, ...]
    n_with_tag: Mapping[str, int]
    shorthands: Mapping[str, str]

    @property
    def prefix(self) -> str:
        """What the names of the variants begin with."""
        reference = "reference:" if self.analysis.tagger == "reference" else ""
        return f"{self.analysis.rule}:{reference}"

    @property
    def each(self) -> str:
        """The shorthand for the variants without one tag each."""
        return f"{self.prefix}each"

    def erased(self, tags: Iterable[str]) -> str:
        """The variant without these tags."""
        chosen = without(list(tags), self.analysis.tagger == "reference")
        if chosen == FULL:
            return "full"
        return str(Variant(self.analysis.rule, chosen.tags, chosen.reference))

    def alone(self, tag: str) -> str:
        """The variant with this tag alone."""
        if self.analysis.tagger == "reference":
            return str(Variant("only", (tag,), True))
        return self.erased(other for other in self.tags if other != tag)

    def control(self, unit: str, seed: int, tag: str) -> str:
        """The variant without as much, at random, as the tag has."""
        reference = self.analysis.tagger == "reference"
        return str(Variant(self.analysis.rule, (tag,), reference, unit, seed=seed))


@dataclass(frozen=True, eq=False)
class _Quantities:
    """One number for each material, by measure and part; and over the seeds, where they differ."""

    values: dict[tuple[str, str], npt.NDArray[np.float64]] = field(default_factory=dict)
    of_seeds: dict[tuple[str, str], npt.NDArray[np.float64]] = field(default_factory=dict)

    def add(self, measure: str, part: str, values: npt.NDArray[np.float64]) -> None:
        """Values of shape (seeds, n)."""
        self.values[measure, part] = values.mean(axis=0)
        self.of_seeds[measure, part] = values


def tag_effects(
    store: FeatureStore, models: Iterable[StoredModel], analysis: TagAnalysis | None = None
) -> list[StoredEffects]:
    """Measure every tag; predictions go to ``erasures``, measures to ``effects``.

    Parameters
    ----------
    store : FeatureStore
        Where everything comes from and goes to.
    models : iterable of StoredModel
        Trained on features with full texts; those that differ only by their seed are one result.
    analysis : TagAnalysis
        Default: comprehensiveness on the test fold alone.

    Raises
    ------
    InvalidInputError
        If a model has no text, was trained on a variant, or the store's rows are no longer those
        it was trained on.
    MissingDataError
        If texts or vectors are missing; `MissingContentError` has the commands that make them.
    UnknownNameError
        If a model's encoder or text generator is gone.
    QueryError
        If the expression for groups cannot be evaluated.
    """
    analysis = analysis or TagAnalysis()
    models = list(models)
    arguments = {"models": [model.model_id for model in models], **vars(analysis)}
    with store.session() as session:
        planned = [
            _plan(session, group, text, analysis)
            for group in seed_groups(models)
            for text in erased_texts(session, group.first, analysis.text)
        ]
        needed = [(group, plan.shorthands) for group, plan in planned]
        if analysis.retrain:
            needed += [_to_retrain(session, group, plan) for group, plan in planned]
        check_vectors(session, needed, store.uri)
        with store.run("explain tags", arguments) as run:
            run.counts |= {"erasures": 0, "effects": 0}
            results = []
            for group, plan in planned:
                predicted = predict_variants(store, session, group, run)
                quantities = _quantities(plan, predicted)
                if analysis.retrain:
                    _add_retrained(store, quantities, plan, predicted)
                measures = _measures(session, plan, predicted, quantities)
                parameters = analysis.parameters(group.text)
                parameters |= {"n_with_tag": dict(plan.n_with_tag)}
                method = group.text.method(analysis.erasure)
                results.append(
                    store_effects(store, group.models, method, parameters, measures, run)
                )
    return results


def _plan(
    session: Session, models: SeedGroup, text: ErasedText, analysis: TagAnalysis
) -> tuple[Explained, _Plan]:
    """One text of a group of models in all variants that the analysis needs."""
    plain = explained_texts(session, models, text, analysis.fold, [])
    n_with_tag = _counts(session, text.generator, plain, analysis)
    tags = tuple(tag for tag, n in n_with_tag.items() if n)
    if not tags:
        raise MissingDataError(
            f"no text of the fold {analysis.fold!r} has any of the tags {', '.join(n_with_tag)}"
        )
    if analysis.sets and len(tags) > _MOST_TAGS:
        raise InvalidInputError(
            f"{len(tags)} tags have {2 ** len(tags)} sets; at most {_MOST_TAGS} tags are analysed "
            "so: use --quick"
        )
    plan = _Plan(analysis, tags, n_with_tag, {})
    shorthands = {plan.erased([tag]): plan.each for tag in tags}
    if analysis.sets:
        shorthands = {plan.erased(chosen): f"{plan.prefix}subsets" for chosen in subsets(tags)}
        shorthands |= {
            plan.alone(tag): shorthands.get(plan.alone(tag), "only:reference:each") for tag in tags
        }
    for seed in analysis.control_seeds:
        for unit in CONTROLS:
            each = plan.each.replace(":", f":{unit}:{seed}:", 1)
            shorthands |= {plan.control(unit, seed, tag): each for tag in tags}
    plan = _Plan(analysis, tags, n_with_tag, shorthands)
    return explained_texts(session, models, text, analysis.fold, list(shorthands)), plan


def _to_retrain(
    session: Session, group: Explained, plan: _Plan
) -> tuple[Explained, Mapping[str, str]]:
    """The texts of every fold without each tag, and what a command may ask for in their place."""
    each = {plan.erased([tag]): plan.each for tag in plan.tags}
    return explained_texts(session, group.models, group.text, None, list(each)), each


def _counts(
    session: Session, generator: Generator, texts: Explained, analysis: TagAnalysis
) -> dict[str, int]:
    """For each tag of the generator the number of materials whose text has it."""
    reference = analysis.tagger == "reference"
    column = "unnest(reference_tags)" if reference else "tag"
    rows = session.query(
        f"SELECT tag, count(DISTINCT material_id) AS n FROM (SELECT material_id, {column} AS tag "
        "FROM materials JOIN sentences USING (structure_id) WHERE generator_id = ? AND "
        "list_contains(?, material_id)) GROUP BY tag",
        [generator.generator_id, list(texts.material_ids)],
    ).to_pylist()
    found = {row["tag"]: row["n"] for row in rows}
    return {tag: found.get(tag, 0) for tag in generator.tags_of(reference=reference)}


def _quantities(plan: _Plan, predicted: VariantPredictions) -> _Quantities:
    found = _Quantities()
    full, analysis = predicted.errors("full"), plan.analysis
    found.add("mae", WHOLE, full)
    for tag in plan.tags:
        erased = plan.erased([tag])
        loss = predicted.errors(erased) - full
        found.add("comprehensiveness", tag, loss)
        change = predicted.predictions[erased] - predicted.predictions["full"]
        found.add("prediction_change", tag, change)
        if analysis.sets:
            found.add("sufficiency", tag, predicted.errors(plan.alone(tag)) - full)
        for unit, suffix in zip(CONTROLS, ("", "_words"), strict=True):
            drawn = [plan.control(unit, seed, tag) for seed in analysis.control_seeds]
            if drawn:
                control = np.mean([predicted.errors(name) - full for name in drawn], axis=0)
                found.add(f"control{suffix}", tag, control)
                found.add(f"over_control{suffix}", tag, loss - control)
    if analysis.sets:
        _add_shapley(found, plan, predicted)
    return found


def _add_shapley(found: _Quantities, plan: _Plan, predicted: VariantPredictions) -> None:
    """Shapley values and interactions, for each seed and material, of errors and predictions."""
    present = [
        [tag for i, tag in enumerate(plan.tags) if members >> i & 1]
        for members in range(1 << len(plan.tags))
    ]
    names = [plan.erased(tag for tag in plan.tags if tag not in tags) for tags in present]
    for suffix, values in (
        ("", np.stack([-predicted.errors(name) for name in names])),
        ("_prediction", np.stack([predicted.predictions[name] for name in names])),
    ):
        pairs = interactions(values)
        for i, (tag, value) in enumerate(zip(plan.tags, shapley_values(values), strict=True)):
            found.add(f"shapley{suffix}", tag, value)
            for j in range(i + 1, len(plan.tags)):
                found.add(f"interaction{suffix}", f"{tag} × {plan.tags[j]}", pairs[i, j])


def _add_retrained(
    store: FeatureStore, found: _Quantities, plan: _Plan, predicted: VariantPredictions
) -> None:
    group = predicted.explained
    for tag in plan.tags:
        errors = retrained_errors(store, group, plan.erased([tag]))
        found.add("retrained", tag, errors - predicted.errors("full"))


def _measures(
    session: Session, plan: _Plan, predicted: VariantPredictions, quantities: _Quantities
) -> list[Measure]:
    """Every quantity on every subset of the materials, with intervals and tests."""
    analysis = plan.analysis
    members = material_subsets(
        session,
        predicted.explained.material_ids,
        predicted.truncated,
        analysis.by,
        analysis.at_least,
    )
    keys = list(quantities.values)
    table = np.stack([quantities.values[key] for key in keys], axis=1)
    found: list[Measure] = []
    share = float(predicted.truncated.mean())
    found.append(
        Measure(
            subset=ALL, part=WHOLE, measure="truncated", n=len(predicted.truncated), value=share
        )
    )
    for subset, member in members.items():
        chosen = table[member]
        n = len(chosen)
        if not n:
            continue
        for tag in plan.n_with_tag:
            count = 0
            if tag in plan.tags:
                count = int(predicted.changed(plan.erased([tag]))[member].sum())
            found.append(
                Measure(subset=subset, part=tag, measure="n_with_tag", n=count, value=float(count))
            )
        # One material has a value, but nothing that says how sure it is.
        low, high = interval(bootstrap_means(chosen)) if n > 1 else np.full((2, len(keys)), np.nan)
        p = _tests(keys, chosen)
        for column, (measure, part) in enumerate(keys):
            seeds = quantities.of_seeds[measure, part][:, member].mean(axis=1)
            raw, corrected = p.get((measure, part), (None, None))
            found.append(
                Measure(
                    subset=subset,
                    part=part,
                    measure=measure,
                    n=n,
                    value=float(chosen[:, column].mean()),
                    low=None if n < 2 else float(low[column]),
                    high=None if n < 2 else float(high[column]),
                    p=raw,
                    p_holm=corrected,
                    std=float(np.std(seeds, ddof=1)) if len(seeds) > 1 else None,
                )
            )
    return found


def _tests(
    keys: Sequence[tuple[str, str]], values: npt.NDArray[np.float64]
) -> dict[tuple[str, str], tuple[float, float]]:
    """For each measure that is tested: p, and p corrected for the number of tags."""
    if len(values) < 2:
        return {}
    found = {}
    for tested in _TESTED:
        columns = [i for i, (measure, _) in enumerate(keys) if measure == tested]
        p = [paired_difference(values[:, i], np.zeros(len(values))).p for i in columns]
        for i, raw, corrected in zip(columns, p, holm(p), strict=True):
            found[keys[i]] = (raw, corrected)
    return found
