"""Erasing the parts of one material's text, one by one or more and more, and predicting again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from explain.erasing.outputs import COLUMNS, outputs, places_of
from explain.erasing.rows import check_encoders, check_fold, check_reproduced
from explain.erasing.stored import erasure_table
from explain.erasing.texts import ErasedText, erased_texts
from explain.words.contributions import Contributions, contributions_of
from explain.words.curves import Curve, curve_variants, curves, random_orders, ranking
from explain.words.description import Description, describe
from featurestore.catalogue import find_encoder
from featurestore.commands import encoding_command
from featurestore.errors import InvalidInputError, MissingContentError
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.texts.renderings import render
from featurestore.vectors import Vectors
from featurestore.views.candidates import select_candidates
from featurestore.views.parameters import ViewParameters
from featurestore.views.request import COMBINED
from train.models import SeedGroup, StoredModel
from train.predictors.loading import LoadedModel, load_model


@dataclass(frozen=True, eq=False)
class _Case:
    """One material as models that differ only by their seed see it.

    ``target`` and ``stored``, their predictions, are None where they were not trained or tested
    on it.
    """

    models: SeedGroup
    text: ErasedText
    description: Description
    full_text_id: str
    target: float | None
    stored: npt.NDArray[np.float64] | None = field(repr=False)
    places: tuple[tuple[int, ...] | None, ...] = field(repr=False)
    others: npt.NDArray[np.float32] = field(repr=False)
    store_uri: str


def word_effects(
    store: FeatureStore,
    models: Sequence[StoredModel],
    material_id: str,
    kinds: Sequence[str],
    erasure: str,
    source: str | None = None,
) -> list[Contributions]:
    """What each part of a text adds to the prediction, of any material that has one.

    For a material that the models have stored predictions of, it is stored in ``erasures``, too.

    Parameters
    ----------
    store : FeatureStore
        Where everything comes from and goes to.
    models : sequence of StoredModel
        Models that differ only by their seed.
    material_id : str
        A described material, with or without a target.
    kinds : sequence of {"word", "number", "sentence", "tag"}
        Which parts.
    erasure : {"deletion", "mask"}
        What happens to them.
    source : str, optional
        Whose text, where the models read several.

    Raises
    ------
    InvalidInputError
        If the models read no text, were trained on a variant, or read several texts and none is
        named; if the text has no such parts, or the models no longer give their predictions.
    UnknownNameError
        If there is no such material or text, or an encoder is gone.
    MissingContentError
        If vectors are missing; its commands make them.
    """
    with store.session() as session:
        case = _case(session, models, material_id, source, store.uri)
        variants = [
            unit.variant(erasure) for kind in kinds for unit in case.description.units(kind)
        ]
        predictions, erased = _measure(store, session, case, list(dict.fromkeys(variants)), erasure)
    return [
        contributions_of(
            models,
            case.text,
            case.description,
            kind,
            erasure,
            target=case.target,
            predictions=predictions,
            erased=erased,
        )
        for kind in kinds
    ]


def word_curves(
    store: FeatureStore,
    contributions: Contributions,
    *,
    orders: int,
    seed: int,
) -> tuple[Curve, ...]:
    """Comprehensiveness and sufficiency of the ranking by absolute contribution of the words.

    Parameters
    ----------
    store : FeatureStore
        Where vectors come from and results go to.
    contributions : Contributions
        Of words.
    orders : int
        Random orders to compare with.
    seed : int
        Of those.

    Raises
    ------
    MissingContentError
        If vectors are missing; its commands make them.
    """
    description, erasure = contributions.description, contributions.erasure
    n = len(description.words)
    ranked = curve_variants(description, ranking(contributions.by_word()), erasure)
    random = [
        curve_variants(description, order, erasure) for order in random_orders(n, orders, seed)
    ]
    variants = list(dict.fromkeys(v for one in (ranked, *random) for v in one.values()))
    with store.session() as session:
        case = _case(
            session,
            contributions.models,
            description.material_id,
            contributions.text.name,
            store.uri,
        )
        predictions, erased = _measure(store, session, case, variants, erasure)
    changes = {variant: without - predictions for variant, without in erased.items()}
    return curves(ranked, random, changes)


def _case(
    session: Session,
    models: Sequence[StoredModel],
    material_id: str,
    source: str | None,
    store_uri: str,
) -> _Case:
    first, p = models[0], models[0].parameters
    texts = erased_texts(session, first, source)
    if len(texts) > 1:
        raise InvalidInputError(
            f"model {first.model_id} reads several texts, choose one with --text: "
            f"{', '.join(text.name for text in texts)}"
        )
    text = texts[0]
    check_encoders(session, first)
    description = describe(session, material_id, text.generator.generator_id)
    rows = session.query(
        f"SELECT model_id, fold, {COLUMNS} FROM predictions "
        "WHERE list_contains(?, model_id) AND material_id = ?",
        [[model.model_id for model in models], material_id],
    ).to_pylist()
    if rows:
        check_fold(first, rows[0]["fold"])
    of = {row["model_id"]: row for row in rows}
    (full,) = variant_texts(session, description, ["full"]).values()
    return _Case(
        models=SeedGroup(tuple(models)),
        text=text,
        description=description,
        full_text_id=full,
        target=float(rows[0]["target"]) if rows else None,
        stored=np.array([of[model.model_id]["prediction"] for model in models]) if rows else None,
        places=tuple(
            places_of(model, [of[model.model_id]["place"]]) if rows else None for model in models
        ),
        others=_other_columns(session, p, text, material_id, store_uri),
        store_uri=store_uri,
    )


def _other_columns(
    session: Session,
    parameters: ViewParameters,
    text: ErasedText,
    material_id: str,
    store_uri: str,
) -> npt.NDArray[np.float32]:
    """The columns of a material's features that are not the text's, in order."""
    inputs = tuple(str(part) for part in parameters.parts if part != text.feature)
    if not inputs:
        return np.empty(0, dtype=np.float32)
    others = replace(
        parameters,
        features=COMBINED,
        generator_id=None,
        structure_encoder=None,
        text_encoder=None,
        inputs=inputs,
    )
    selected, lacking = select_candidates(session, others, [material_id])
    if lacking:
        chosen = {"material": material_id, "store": store_uri}
        commands = [
            encoding_command(
                session,
                find_encoder(session, one.encoder_id, one.kind),
                one.generator_id,
                (),
                chosen,
            )
            for one in others.vectors
        ]
        raise MissingContentError(
            f"material {material_id!r} has no {lacking[material_id]}, which the model reads beside "
            "the text",
            commands,
        )
    return np.asarray(selected.read().features[0])


def variant_texts(
    session: Session, description: Description, variants: Sequence[str]
) -> dict[str, str]:
    """The text of each variant that the material has."""
    ids = [description.structure_id] * len(variants)
    return {
        row["variant"]: row["text_id"]
        for table in render(session, description.generator_id, ids, variants)
        for row in table.select(["variant", "text_id"]).to_pylist()
    }


def _measure(
    store: FeatureStore, session: Session, case: _Case, variants: Sequence[str], erasure: str
) -> tuple[npt.NDArray[np.float64], dict[str, npt.NDArray[np.float64]]]:
    """Predictions with the full text and with each variant, of shape (seeds,)."""
    text_ids = variant_texts(session, case.description, variants)
    stored = Vectors.of(session, case.text.encoder)
    absent = set(stored.missing([case.full_text_id, *text_ids.values()]))
    missing = [variant for variant in variants if text_ids[variant] in absent]
    if case.full_text_id in absent:
        missing = ["full", *missing]
    if missing:
        material_id = case.description.material_id
        raise MissingContentError(
            f"{len(missing)} of {len(variants)} texts of material {material_id!r} have no vector",
            [
                encoding_command(
                    session,
                    case.text.encoder,
                    case.description.generator_id,
                    missing,
                    {"material": material_id, "store": case.store_uri},
                )
            ],
        )
    texts = stored.read(
        [case.full_text_id, *(text_ids[variant] for variant in variants)], case.text.of_vector
    )
    before, after = np.split(case.others, [case.text.start])
    features = np.hstack([np.tile(before, (len(texts), 1)), texts, np.tile(after, (len(texts), 1))])
    loaded = [load_model(store, model.model_id) for model in case.models]
    predictions = np.stack(
        [_outputs(*one, features) for one in zip(loaded, case.places, strict=True)]
    )
    if case.stored is not None:
        for model, own, known in zip(loaded, predictions, case.stored, strict=True):
            check_reproduced(model, own[:1], np.array([known]))
        _store(store, case, predictions, variants, text_ids, erasure)
    return predictions[:, 0], {
        variant: predictions[:, place] for place, variant in enumerate(variants, 1)
    }


def _outputs(
    model: LoadedModel, place: tuple[int, ...] | None, features: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    """What an erasure changes, for the full text and each variant, shape (1 + variants,)."""
    if place is None and model.parameters.classes:
        place = (int(model.probabilities(features[:1])[0].argmax()),)
    return outputs(model, features, None if place is None else place * len(features))


def _store(
    store: FeatureStore,
    case: _Case,
    predictions: npt.NDArray[np.float64],
    variants: Sequence[str],
    text_ids: Mapping[str, str],
    erasure: str,
) -> None:
    """Put predictions, shape (seeds, 1 + variants), into ``erasures``."""
    arguments = {
        "models": [model.model_id for model in case.models],
        "material": case.description.material_id,
        "erasure": erasure,
    }
    n = len(variants)
    assert case.target is not None
    with store.run("explain words", arguments) as run:
        run.counts["erasures"] = 0
        for model, of_model in zip(case.models, predictions, strict=True):
            table = erasure_table(
                model.model_id,
                [case.text.method(erasure)] * n,
                variants,
                run.run_id,
                material_ids=[case.description.material_id] * n,
                text_ids=[text_ids[variant] for variant in variants],
                targets=np.full(n, case.target),
                predictions=np.full(n, of_model[0]),
                erased=of_model[1:],
            )
            run.counts["erasures"] += store.merge("erasures", table, replace=True).written
