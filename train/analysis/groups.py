"""Errors by group of materials: where models are good, with how much certainty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.query.conditions import as_condition
from featurestore.session import Session
from train.analysis.predictions import fold_errors
from train.analysis.resampling import Estimate, draws, interval
from train.display.labels import distinctions, features_label, predictor_label
from train.models import SeedGroup
from train.predictors.registry import reads

#: A bootstrap of fewer materials says little: their intervals are not drawn.
LEAST = 10
#: The share of test materials that counts as predicted best, as in the paper.
BEST = 0.1


@dataclass(frozen=True)
class GroupErrors:
    """One model's errors on one group of test materials.

    Parameters
    ----------
    group : str
        Its name.
    n : int
        Test materials in it.
    share : float
        Of all test materials.
    error : Estimate
        In the property's unit; of classes the Brier score.
    best_share : Estimate
        Of the tenth of the test materials that the model predicts best, how much is in the group:
        above ``share`` where the model is better than elsewhere.
    """

    group: str
    n: int
    share: float
    error: Estimate
    best_share: Estimate


@dataclass(frozen=True)
class ModelGroups:
    """The groups of one model, or of models that differ only by their seed.

    Parameters
    ----------
    models : SeedGroup
        Their errors are averaged, material by material.
    label : str
        What tells it from the others.
    groups : tuple of GroupErrors
        The same groups for all models that are compared, the largest first, equal ones by name.
    """

    models: SeedGroup
    label: str
    groups: tuple[GroupErrors, ...]


def group_errors(
    session: Session, rows: Sequence[SeedGroup], by: str, at_least: int
) -> list[ModelGroups]:
    """Errors by group, on the test materials that all models have.

    Parameters
    ----------
    session : Session
        Where the predictions are.
    rows : sequence of SeedGroup
        Models of one property.
    by : str
        SQL expression over the columns of ``materials``: ``crystal_system``, ``prototype``,
        ``n_atoms > 20``.
    at_least : int
        Groups with fewer test materials are put together.

    Raises
    ------
    InvalidInputError
        If the models are of several properties.
    MissingDataError
        If they have no test material in common.
    QueryError
        If DuckDB cannot evaluate the expression.
    """
    properties = {model.parameters.property for row in rows for model in row}
    if len(properties) > 1:
        raise InvalidInputError(
            f"models of {', '.join(sorted(properties))} cannot be compared: name one --property"
        )
    tested = fold_errors(session, [model.model_id for row in rows for model in row])
    common = sorted(set.intersection(*(set(found.material_ids) for found in tested.values())))
    if not common:
        raise MissingDataError(
            "these models have no test material in common: choose those of one split with --split, "
            "or name them with --model"
        )
    names = group_names(session, common, by, at_least)
    found = []
    for row, label in zip(rows, _labels(rows), strict=True):
        errors = []
        for model in row:
            of = tested[model.model_id]
            position = {material_id: i for i, material_id in enumerate(of.material_ids)}
            errors.append(of.errors[[position[material_id] for material_id in common]])
        found.append(ModelGroups(row, label, _of_model(np.mean(errors, axis=0), names)))
    return found


def groups_table(found: Sequence[ModelGroups]) -> pa.Table:
    """One row for each model and group; MAE in ``unit``, shares between 0 and 1."""
    return pa.Table.from_pylist(
        [
            {
                "property": model.models.parameters.property,
                "model": model.label,
                "seeds": len(model.models),
                "group": group.group,
                "n": group.n,
                "share": group.share,
                model.models.first.task.error: group.error.value,
                f"{model.models.first.task.error}_low": group.error.low,
                f"{model.models.first.task.error}_high": group.error.high,
                "best_10_share": group.best_share.value,
                "best_10_low": group.best_share.low,
                "best_10_high": group.best_share.high,
                "unit": model.models.first.task.error_unit,
            }
            for model in found
            for group in model.groups
        ]
    )


def group_names(session: Session, materials: Sequence[str], by: str, at_least: int) -> list[str]:
    """The group of each material; groups smaller than ``at_least`` are put together.

    Parameters
    ----------
    session : Session
        Where ``materials`` is.
    materials : sequence of str
        Ids of stored materials.
    by : str
        SQL expression over the columns of ``materials``.
    at_least : int
        Least number of the given materials in a group that keeps its name.

    Raises
    ------
    QueryError
        If DuckDB cannot evaluate the expression.
    InvalidInputError
        If it is no expression that only reads.
    """
    # Read-only, like every query from outside.
    rows = session.read_only_query(
        "SELECT material_id, "
        f"coalesce(CAST({as_condition(by)} AS VARCHAR), 'NULL') AS chosen_group "
        "FROM materials WHERE list_contains(?, material_id)",
        [list(materials)],
    ).to_pylist()
    of = {row["material_id"]: row["chosen_group"] for row in rows}
    names = [of[material_id] for material_id in materials]
    small = {name for name, n in Counter(names).items() if n < at_least}
    together = f"{len(small)} others" if len(small) > 1 else None
    return [together if together and name in small else name for name in names]


def _of_model(errors: npt.NDArray[np.float64], names: Sequence[str]) -> tuple[GroupErrors, ...]:
    order = np.argsort(errors, kind="stable")
    errors = errors[order]
    ordered = [names[i] for i in order]
    sizes = Counter(names)
    groups = sorted(sizes, key=lambda name: (name.endswith(" others"), -sizes[name], name))
    member = np.array([[name == group for group in groups] for name in ordered], dtype=np.float64)
    means, shares = [], []
    for counts in draws(len(errors)):
        with np.errstate(invalid="ignore"):
            means.append((counts @ (member * errors[:, None])) / (counts @ member))
        shares.append(_best(counts) @ member)
    bounds, share_bounds = (interval(np.concatenate(values)) for values in (means, shares))
    best = _best(np.ones((1, len(errors))))[0] @ member
    return tuple(
        GroupErrors(
            group=group,
            n=int(member[:, g].sum()),
            share=float(member[:, g].mean()),
            error=Estimate(float(errors[member[:, g] > 0].mean()), *map(float, bounds[:, g])),
            best_share=Estimate(float(best[g]), *map(float, share_bounds[:, g])),
        )
        for g, group in enumerate(groups)
    )


def _best(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The weight of each material in the best tenth of draws in order of the error; sums to 1."""
    size = np.ceil(BEST * counts.shape[1])
    before = np.cumsum(counts, axis=1) - counts
    return np.asarray(np.clip(size - before, 0.0, counts) / size)


def _labels(rows: Sequence[SeedGroup]) -> list[str]:
    """What tells each model from the others: the encoder, too, where there are several."""
    models = [row.first for row in rows]
    several = len({model.parameters.structure_encoder for model in models} - {None}) > 1
    labels = []
    for model in models:
        words = [features_label(model), predictor_label(model)]
        if several and model.parameters.structure_encoder:
            words.insert(1, model.parameters.structure_encoder)
        labels.append(words[-1] if reads(model.predictor) == "nothing" else ", ".join(words))
    return [
        ", ".join([label, *(word for word in words if word not in label)])
        for label, words in zip(labels, distinctions(models, labels), strict=True)
    ]
