"""Models of all splits that belong together, and what they say of rows that they did not learn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from featurestore.errors import FeatureStoreError, InvalidInputError, UnknownNameError
from featurestore.failure import Failure
from featurestore.machine.cluster import chosen_cluster
from featurestore.output.progress import progress_bar
from featurestore.session import Session
from featurestore.splits import (
    ALL_PROPERTIES,
    cross_validation,
    cross_validations,
    families,
    left_out,
)
from featurestore.store import FeatureStore
from featurestore.views.request import ViewRequest
from train.crossfit.result import CrossValidated, pooled_errors
from train.models import StoredModel
from train.predictors.base import Recipe
from train.training import TrainingResult, model_or_none
from train.workers import Asked, Trained, train_in_workers


class FoldFailedError(FeatureStoreError):
    """A worker could not train the model of a split."""


@dataclass(frozen=True)
class _Always:
    """Gives a recipe that has been made."""

    recipe: Recipe

    def __call__(self, classes: bool) -> Recipe:
        return self.recipe


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """What is said of materials by models that did not learn from them.

    Parameters
    ----------
    rows : tuple of dict
        Of the table ``predictions``, one for each material, in the order of the ids.
    fold_of : ndarray, shape (n,), int64
        The place of the model that predicted it.
    """

    rows: tuple[Mapping[str, Any], ...] = field(repr=False)
    fold_of: npt.NDArray[np.int64] = field(repr=False)

    @property
    def material_ids(self) -> tuple[str, ...]:
        """Of the rows."""
        return tuple(row["material_id"] for row in self.rows)


def cross_validate(
    store: FeatureStore,
    request: ViewRequest,
    recipe: Recipe,
    seed: int = 0,
    *,
    against: str | None = None,
    jobs: int = 1,
    said: Callable[[str], None] = lambda _: None,
) -> CrossValidated:
    """Train on every split of a cross-validation, or of what is left out in turn.

    Each model is stored with its predictions when it is done; the same call goes on where it
    stopped, and finds those that are there.

    Parameters
    ----------
    store : FeatureStore
        Read and written.
    request : ViewRequest
        The view; its ``split`` is the name of the cross-validation, or of splits that each leave
        out something.
    recipe : Recipe
        How to train.
    seed : int
        Of everything random in each training.
    against : str, optional
        A cross-validation that is trained by the same recipe on the same features: it tells what
        the errors are of materials that are not left out.
    jobs : int
        Worker processes; each has one thread. 1 trains here, unless a cluster was chosen.
    said : callable
        Is told each note once.

    Raises
    ------
    UnknownNameError, InvalidInputError
        If there are no such splits, or the view cannot be learned from.
    MissingDataError
        If a split has too few rows to train or to stop by, or none to test on.
    TrainingError
        If a training diverges.
    FoldFailedError
        If any of these happens in a worker; the other models are stored.
    """
    name = request.split
    if name is None:
        raise InvalidInputError("name a cross-validation as the split")
    with store.session() as session:
        splits = named_splits(session, name, request.property)
    known = None if against is None else _reference(store, request, recipe, seed, against, jobs)
    asked = {
        part: Asked(replace(request, split=split), _Always(recipe), seed, is_tested=True)
        for part, split in splits.items()
    }
    if jobs > 1 or chosen_cluster() is not None:
        found = _in_workers(store, asked, jobs, said)
    else:
        found = _here(store, asked, said)
    results, errors = list(found.values()), []
    for result in results:
        with store.session() as session:
            rows = _test_rows(session, [result.model.model_id])
        of_rows = map(float, result.model.task.errors(rows))
        errors.append(dict(zip((row["material_id"] for row in rows), of_rows, strict=True)))
    return CrossValidated(
        name=name,
        parts=tuple(splits),
        results=tuple(results),
        errors=tuple(errors),
        against=known,
        reference=against,
    )


def named_splits(session: Session, name: str, property: str) -> dict[str, str]:
    """The splits of a cross-validation or of what is left out, by what each tests on.

    Raises
    ------
    InvalidInputError
        If it is an ordinary split.
    UnknownNameError
        If there is none of that name for the property.
    """
    known = cross_validations(session)
    if (name, property) in known or (name, ALL_PROPERTIES) in known:
        found = cross_validation(session, name, property)
        return {str(number): split for number, split in enumerate(found)}
    held = left_out(session, name, property)
    if held:
        return held
    plain = session.query("SELECT 1 FROM splits WHERE split = ? LIMIT 1", [name]).num_rows
    if plain:
        raise InvalidInputError(
            f"{name!r} is one split, with folds for training and testing: train on it with "
            "featurestore train fit, or make a cross-validation with: featurestore ingest splits "
            f"--folds 5 --property {property}"
        )
    names = {of for of, key in families(session) if key in (property, ALL_PROPERTIES)}
    raise UnknownNameError(
        f"cross-validation for {property}",
        name,
        names,
        "(make one with: featurestore ingest splits --folds 5)",
    )


def _here(
    store: FeatureStore, asked: Mapping[str, Asked], said: Callable[[str], None]
) -> dict[str, TrainingResult]:
    """Trained one after the other in this process."""
    found = {}
    for part, one in asked.items():
        found[part] = one.train(store, store.view(one.request))
        for note in found[part].notes:
            said(note)
    return found


def _in_workers(
    store: FeatureStore, asked: Mapping[str, Asked], jobs: int, said: Callable[[str], None]
) -> dict[str, TrainingResult]:
    """Trained in worker processes; all that can be are, before an error says which could not."""
    done: dict[str, Trained] = {}
    failed: dict[str, Failure] = {}
    with progress_bar(len(asked), "cross-validation", "models") as progress:
        for part, result in train_in_workers(store.uri, asked.items(), jobs):
            if isinstance(result, Failure):
                failed[part] = result
            else:
                done[part] = result
            progress.update()
    if failed:
        part, failure = next(iter(failed.items()))
        raise FoldFailedError(
            f"{len(failed)} of {len(asked)} models could not be trained, the first on "
            f"{asked[part].request.split!r}: {failure.error}: {failure.message}"
        )
    with store.session() as session:
        stored = {part: model_or_none(session, one.model_id) for part, one in done.items()}
    found = {}
    for part in asked:
        model, one = stored[part], done[part]
        assert model is not None
        found[part] = TrainingResult(model, one.is_new, one.notes)
        for note in one.notes:
            said(note)
    return found


def out_of_fold(session: Session, models: Sequence[StoredModel]) -> OutOfFold:
    """The predictions of each model's test materials, by the models of a cross-validation.

    Raises
    ------
    InvalidInputError
        If a material is tested on by several: the splits are no cross-validation.
    """
    places = {model.model_id: place for place, model in enumerate(models)}
    rows = _test_rows(session, list(places))
    names = [row["material_id"] for row in rows]
    for first, second in pairwise(names):
        if first == second:
            raise InvalidInputError(
                f"material {first!r} is tested on in several folds: these splits are no "
                "cross-validation; draw one with: featurestore ingest splits --folds 5"
            )
    fold_of = np.array([places[row["model_id"]] for row in rows], dtype=np.int64)
    return OutOfFold(tuple(rows), fold_of)


def _test_rows(session: Session, model_ids: Sequence[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = session.query(
        "SELECT model_id, material_id, target, prediction, probabilities FROM predictions "
        "WHERE fold = 'test' AND model_id IN (SELECT unnest(?::VARCHAR[])) "
        "ORDER BY material_id, model_id",
        [list(model_ids)],
    ).to_pylist()
    return found


def _reference(
    store: FeatureStore, request: ViewRequest, recipe: Recipe, seed: int, name: str, jobs: int
) -> dict[str, float]:
    """The errors of a cross-validation by the same recipe on the same features, by material."""
    known = cross_validate(store, replace(request, split=name), recipe, seed, jobs=jobs)
    return pooled_errors(known.errors)
