"""What the commands of ``featurestore explain`` do, as functions for programs and notebooks.

Models are named by their ids, given as `StoredModel`, or as the groups that `train.stored` returns.
Where texts or vectors are missing, the error's ``commands`` make them; ``encode`` runs these, as
`featurestore.commands.run` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from explain.erasing.effects_table import StoredEffects
from explain.erasing.missing import made_where_missing
from explain.erasing.rows import seed_siblings
from explain.reasons.cases import Reasons
from explain.reasons.measure import reasons_of
from explain.report.model import Report
from explain.report.page import write_report as write_page
from explain.segments.analysis import SegmentEffects, segment_effects
from explain.tags.analysis import TagAnalysis, tag_effects
from explain.words.analysis import word_effects
from explain.words.contributions import Contributions
from featurestore.commands import Command
from featurestore.errors import MissingDataError
from featurestore.store import FeatureStore
from train.forecasts.predictor import Predictor
from train.models import StoredModel, find_models

Models = str | StoredModel | Iterable["Models"]
Encode = Callable[[Command], None]


def erase_tags(
    store: FeatureStore, models: Models, *, encode: Encode | None = None, **choices: Any
) -> list[StoredEffects]:
    """What each kind of sentence does for predictions; stored, and returned.

    Parameters
    ----------
    store : FeatureStore
        Read and written.
    models : str, StoredModel or iterable of them
        Which models; those that differ only by their seed are one result.
    encode : callable, optional
        Runs a command that makes what is missing.
    **choices
        The fields of `TagAnalysis`: fold, tagger, erasure, control_seeds, sets, by, at_least,
        retrain, text.

    Raises
    ------
    MissingContentError
        If texts or vectors are missing and ``encode`` is not given.
    UnknownNameError, InvalidInputError
        As `tag_effects`.
    """
    chosen = _models(store, models)
    analysis = TagAnalysis(**choices)
    return made_where_missing(lambda: tag_effects(store, chosen, analysis), encode)


def erase_words(
    store: FeatureStore,
    material_id: str,
    model: str,
    *,
    kinds: Sequence[str] = ("word",),
    erasure: str = "deletion",
    text: str | None = None,
    encode: Encode | None = None,
) -> list[Contributions]:
    """What each word, sentence or tag of a material's text adds to its prediction.

    Parameters
    ----------
    store : FeatureStore
        Read and written.
    material_id : str
        A described material, with or without a target.
    model : str
        A model's id or its beginning; models that differ only by their seed are averaged.
    kinds : sequence of {"word", "number", "sentence", "tag"}
        Which parts.
    erasure : {"deletion", "mask"}
        What happens to them.
    text : str, optional
        Whose text, where the model reads several.
    encode : callable, optional
        Runs a command that makes what is missing.

    Raises
    ------
    MissingContentError
        If vectors are missing and ``encode`` is not given.
    UnknownNameError, InvalidInputError
        As `word_effects`.
    """
    with store.session() as session:
        siblings = seed_siblings(session, model)
    return made_where_missing(
        lambda: word_effects(store, siblings, material_id, kinds, erasure, text), encode
    )


def silence_segments(
    store: FeatureStore,
    models: Models,
    *,
    fold: str = "test",
    by: str | None = None,
    at_least: int = 5,
) -> list[SegmentEffects]:
    """What a model loses without each part of its features; see `segment_effects`."""
    chosen = _models(store, models)
    return segment_effects(store, chosen, fold=fold, by=by, at_least=at_least)


def why(
    store: FeatureStore,
    sources: str | Path | Sequence[str | Path] = (),
    *,
    ids: str | Sequence[str] = (),
    properties: str | Sequence[str] = (),
    models: str | Sequence[str] = (),
    keep: bool = True,
) -> Reasons:
    """Predict a few materials, and say what in their texts and structures moved the prediction.

    Parameters
    ----------
    store : FeatureStore
        Read, and written unless ``keep`` is false.
    sources : path, or several
        Structure files, as for `train.predict`.
    ids : str or sequence of str
        Materials of the store, with or without a target.
    properties, models : str or sequence of str
        What to predict, and by which models; by default all properties that have models.
    keep : bool
        Whether candidates, forecasts, and the vectors of what is left of the texts are stored.

    Raises
    ------
    MissingDataError
        If none of them can be predicted.
    UnknownNameError, InvalidInputError
        As `train.predict`.
    """
    named, asked, chosen = (
        (one,) if isinstance(one, str) else tuple(one) for one in (ids, properties, models)
    )
    with (
        Predictor(store, asked, models=chosen, keep=keep) as predictor,
        predictor.predicting(sources, ids=named) as (place, forecasts),
    ):
        failed = [f"{name}: {failure.message}" for name, failure in forecasts.failures.items()]
        if not forecasts.rows:
            raise MissingDataError("no material could be predicted; " + "; ".join(failed[:3]))
        found = reasons_of(predictor, place, forecasts.rows)
    notes = [f"not predicted, {one}" for one in failed]
    return replace(found, notes=(*found.notes, *notes))


def write_report(
    store: FeatureStore, model: str, path: str | Path, materials: Sequence[str] = ()
) -> Report:
    """Write one self-contained page on a model; see `explain.report.page.write_report`."""
    with store.session() as session:
        return write_page(session, model, Path(path), materials, store.uri)


def _models(store: FeatureStore, models: Models) -> list[StoredModel]:
    if isinstance(models, str):
        with store.session() as session:
            return find_models(session, [models])
    if isinstance(models, StoredModel):
        return [models]
    return [model for one in models for model in _models(store, one)]
