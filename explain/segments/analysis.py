"""Replacing a part of the vector by its mean: what of the structure, and the text, a model uses.

A segment that says the same for every material says nothing, so a segment is silenced by its mean
over the training rows (mean imputation, as in Covert, Lundberg, Lee, Explaining by Removing, JMLR
22, 209, 2021). The vectors of one material are correlated: what one segment says another may say,
too, so that single segments can weigh little although the structure as a whole weighs much.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from explain.erasing.effects import Effect, erasure_effect
from explain.erasing.outputs import output_unit, outputs
from explain.erasing.rows import ExplainedRows, check_fold, chosen_places, explained_rows
from explain.erasing.stored import ErasureRows, erasure_table, stored_erasures
from explain.erasing.subsets import material_subsets
from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.output.display import Showing, Shown, figure_html, no_picture
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from featurestore.views.view import view_parts
from train.analysis.resampling import holm
from train.models import SeedGroup, StoredModel, seed_groups

if TYPE_CHECKING:
    from featurestore.output.figure import Figure

#: The name of this analysis in the ``erasures`` table.
METHOD = "training mean"


@dataclass(frozen=True)
class SegmentEffect(Effect):
    """The effect of one part of the input on one group of materials.

    Parameters
    ----------
    segment : str
        ``structure`` and ``text`` are whole vectors, ``structure.atom`` and so on parts of one.
    group : str
        "all", or a group of materials, as "crystal_system = cubic".
    """

    segment: str
    group: str


@dataclass(frozen=True, repr=False)
class SegmentEffects(Shown):
    """The effects of all parts on models that differ only by their seed.

    Parameters
    ----------
    models : SeedGroup
        In order of the seed.
    fold : str
        The fold whose rows were used.
    n : int
        Number of those rows.
    effects : tuple of SegmentEffect
        Group by group, the structure's parts first.
    """

    models: SeedGroup
    fold: str
    n: int
    effects: tuple[SegmentEffect, ...]

    @property
    def table(self) -> pa.Table:
        """One row for each group and part; see `segments_table`."""
        return segments_table([self])

    def showing(self) -> Showing:
        """What is lost without each part."""
        p = self.models.parameters
        names = [
            "group",
            "segment",
            "mae_full",
            "mae_without",
            "difference",
            "low",
            "high",
            "p_holm",
        ]
        shown = self.table.select(names) if self.effects else None
        facts = {"features": p.features_name, "fold": self.fold, "materials": f"{self.n:,}"}
        title = f"Parts of the features: {p.property} ({output_unit(self.models.first)})"
        picture = (lambda: figure_html(self.figure(), title)) if self.effects else no_picture
        return Showing(title, facts, shown, picture=picture)

    def figure(self) -> Figure:
        """Dots and intervals, see `explain.segments.figure.segments_figure`."""
        from explain.segments.figure import segments_figure

        return segments_figure([self])


def segment_effects(
    store: FeatureStore,
    models: Iterable[StoredModel],
    *,
    fold: str,
    by: str | None = None,
    at_least: int = 5,
) -> list[SegmentEffects]:
    """Replace every segment by its mean over the training rows; stored in ``erasures``.

    Parameters
    ----------
    store : FeatureStore
        Where everything comes from and goes to.
    models : iterable of StoredModel
        Trained on structure vectors, alone or with texts.
    fold : {"train", "val", "test"}
        Which rows.
    by : str, optional
        SQL expression over ``materials`` that makes groups, or ``element``, beside all materials.
    at_least : int
        Groups with fewer materials are put together; those of ``element`` are left out.

    Raises
    ------
    InvalidInputError
        If a model has no structure vector, or no longer gives its stored predictions.
    MissingDataError
        If a model has no rows in the fold, or vectors are gone.
    UnknownNameError
        If a model's encoder is gone.
    """
    groups = seed_groups(models)
    for group in groups:
        _check_structure(group.first)
        check_fold(group.first, fold)
    arguments = {"models": [model.model_id for group in groups for model in group], "fold": fold}
    with store.session() as session, store.run("explain segments", arguments) as run:
        run.counts["erasures"] = 0
        for group in groups:
            _measure(store, explained_rows(store, session, group), fold, run)
    with store.session() as session:
        return [stored_segment_effects(session, group, fold, by, at_least) for group in groups]


def stored_segment_effects(
    session: Session,
    models: Sequence[StoredModel],
    fold: str,
    by: str | None = None,
    at_least: int = 5,
) -> SegmentEffects:
    """The effects that `segment_effects` has stored, computed from the rows of ``erasures``.

    ``effects`` is empty if there are none.
    """
    rows = stored_erasures(session, models, METHOD, fold=fold)
    n = len(rows.material_ids)
    if not n:
        return SegmentEffects(SeedGroup(tuple(models)), fold, 0, ())
    order = sorted(range(len(rows.variants)), key=lambda i: _order(rows.variants[i]))
    effects = [
        _effect(rows, number, name, member)
        for name, member in material_subsets(
            session, rows.material_ids, np.zeros(n, dtype=bool), by, at_least
        ).items()
        for number in order
    ]
    corrected = holm([effect.p for effect in effects])
    effects = [replace(one, p=p) for one, p in zip(effects, corrected, strict=True)]
    return SegmentEffects(SeedGroup(tuple(models)), fold, n, tuple(effects))


def segments_table(results: Sequence[SegmentEffects]) -> pa.Table:
    """One row for each model, group and segment; errors and changes in ``unit``.

    Where a model attends to its parts, ``attention`` is the share that a part got on the validation
    fold, beside what is lost without it and no substitute for that.
    """
    rows = []
    attends = any("attention" in one.metrics for result in results for one in result.models)
    for result in results:
        model, p = result.models.first, result.models.parameters
        for effect in result.effects:
            row = {
                "property": p.property,
                "text_source": model.text_source,
                "features": p.features_name,
                "encoders": model.encoders,
                "predictor": model.predictor,
                "split": p.split,
                "fold": result.fold,
                "seeds": len(result.models),
                "group": effect.group,
                "n": effect.n,
                "segment": effect.segment,
                "mae_full": effect.mae,
                "mae_without": effect.erased_mae,
                "difference": effect.difference.value,
                "low": effect.difference.low,
                "high": effect.difference.high,
                "p_holm": effect.p,
                "seeds_std": effect.difference_std,
                "change": effect.change.value,
                "change_low": effect.change.low,
                "change_high": effect.change.high,
                "unit": output_unit(model),
            }
            if attends:
                row["attention"] = _attention(result.models, effect)
            rows.append(row)
    table = pa.Table.from_pylist(rows)
    kinds = {"seeds_std": pa.float64(), "text_source": pa.string(), "attention": pa.float64()}
    for name, kind in kinds.items():
        if name not in table.column_names:
            continue
        index = table.column_names.index(name)
        table = table.set_column(index, name, table[name].cast(kind))
    return table


def _attention(models: SeedGroup, effect: SegmentEffect) -> float | None:
    """The mean share over the seeds that a part, or all segments of it, got; None if not known."""
    shares = [one.metrics["attention"] for one in models if "attention" in one.metrics]
    if effect.group != "all" or not shares:
        return None
    within = (effect.segment, f"{effect.segment}.")
    sums = [
        sum(v for n, v in of.items() if n == within[0] or n.startswith(within[1])) for of in shares
    ]
    return float(np.mean(sums))


def is_text(name: str) -> bool:
    """Whether a part of this name is a text's vector: ``text``, or ``ENCODER:SOURCE``."""
    return name.startswith("text") or (":" in name and not name.startswith(("sql:", "property:")))


def can_be_silenced(model: StoredModel) -> bool:
    """Whether a model has parts beside each other: a text alone has nothing to compare with."""
    parts = model.parameters.parts
    return any(part.kind == "structure" for part in parts) or len(parts) > 1


def _check_structure(model: StoredModel) -> None:
    if not can_be_silenced(model):
        raise InvalidInputError(
            f"model {model.model_id} was trained on {model.parameters.features!r}: it has no "
            "structure vector with segments to replace"
        )


def _measure(store: FeatureStore, rows: ExplainedRows, fold: str, run: Run) -> None:
    train, chosen = rows.stored.in_fold("train"), rows.stored.in_fold(fold)
    if not chosen.any():
        raise MissingDataError(
            f"model {rows.models[0].model_id} has no predictions for fold {fold!r}"
        )
    # In float64: a float32 sum over tens of thousands of rows loses digits.
    mean = rows.features[train].mean(axis=0, dtype=np.float64).astype(np.float32)
    features = rows.features[chosen]
    ids, texts = (
        [one for one, wanted in zip(values, chosen, strict=True) if wanted]
        for values in (rows.stored.material_ids, rows.text_ids)
    )
    places = [chosen_places(one, chosen) for one in rows.stored.places]
    predictions = [
        outputs(model, features, of) for model, of in zip(rows.models, places, strict=True)
    ]
    for name, (start, stop) in view_parts(rows.blocks).items():
        silenced = features.copy()
        silenced[:, start:stop] = mean[start:stop]
        for model, full, of in zip(rows.models, predictions, places, strict=True):
            table = erasure_table(
                model.model_id,
                [METHOD] * len(ids),
                [f"mean:{name}"] * len(ids),
                run.run_id,
                material_ids=ids,
                text_ids=texts,
                targets=rows.stored.targets[chosen],
                predictions=full,
                erased=outputs(model, silenced, of),
            )
            run.counts["erasures"] += store.merge("erasures", table, replace=True).written


def _order(variant: str) -> tuple[str, ...]:
    """The whole vector before its segments, these in the order of atom, bond, angle."""
    name = variant.partition(":")[2]
    vector, _, segment = name.partition(".")
    known = ["", "atom", "bond", "angle"]
    place = f"{known.index(segment)}" if segment in known else "9"
    return ("1" if is_text(name) else "0", vector, place, name)


def _effect(
    rows: ErasureRows, number: int, group: str, member: npt.NDArray[np.bool_]
) -> SegmentEffect:
    effect = erasure_effect(rows, number, member)
    return SegmentEffect(
        **vars(effect), segment=rows.variants[number].partition(":")[2], group=group
    )
