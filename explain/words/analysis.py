"""Erasing the parts of one material's text, one by one or more and more, and predicting again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from explain.erasing.missing import MissingTextsError
from explain.erasing.predictions import check_text
from explain.erasing.rows import check_encoders, check_fold, check_reproduced
from explain.erasing.stored import erasure_table, stored_erasures
from explain.words.contributions import Contributions, stored_contributions
from explain.words.curves import Curve, curve_variants, curves, random_orders, ranking
from explain.words.description import Description, describe
from featurestore.catalogue import Encoder, find_encoder
from featurestore.commands import encoding_command
from featurestore.errors import MissingDataError, UnknownNameError
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from featurestore.tables.schemas import embedding_table
from featurestore.texts.renderings import render
from train.models import StoredModel
from train.predictors.loading import load_model


@dataclass(frozen=True, eq=False)
class _Case:
    """One material as models that differ only by their seed see it."""

    models: tuple[StoredModel, ...]
    description: Description
    encoder: Encoder
    full_text_id: str
    target: float
    stored: npt.NDArray[np.float64] = field(repr=False)
    structure: npt.NDArray[np.float32] = field(repr=False)
    store_uri: str


def word_effects(
    store: FeatureStore,
    models: Sequence[StoredModel],
    material_id: str,
    kinds: Sequence[str],
    erasure: str,
) -> list[Contributions]:
    """What each part of a text adds to the prediction; stored in ``erasures`` and returned.

    Parameters
    ----------
    store : FeatureStore
        Where everything comes from and goes to.
    models : sequence of StoredModel
        Models that differ only by their seed.
    material_id : str
        A material that the models have predicted, of any fold.
    kinds : sequence of {"word", "number", "sentence", "tag"}
        Which parts.
    erasure : {"deletion", "mask"}
        What happens to them.

    Raises
    ------
    InvalidInputError
        If the models read no text or were trained on a variant, the text has no such parts, or the
        models no longer give their stored predictions.
    UnknownNameError
        If there is no such material, or an encoder is gone.
    MissingTextsError
        If vectors are missing.
    """
    with store.session() as session:
        case = _case(session, models, material_id, store.uri)
        variants = [
            unit.variant(erasure) for kind in kinds for unit in case.description.units(kind)
        ]
        _measure(store, session, case, list(dict.fromkeys(variants)), erasure)
    with store.session() as session:
        found = [
            stored_contributions(session, models, case.description, kind, erasure) for kind in kinds
        ]
    assert all(found)
    return [one for one in found if one is not None]


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
    MissingTextsError
        If vectors are missing.
    """
    description, erasure = contributions.description, contributions.erasure
    n = len(description.words)
    ranked = curve_variants(description, ranking(contributions.by_word()), erasure)
    random = [
        curve_variants(description, order, erasure) for order in random_orders(n, orders, seed)
    ]
    variants = list(dict.fromkeys(v for one in (ranked, *random) for v in one.values()))
    with store.session() as session:
        case = _case(session, contributions.models, description.material_id, store.uri)
        _measure(store, session, case, variants, erasure)
    with store.session() as session:
        rows = stored_erasures(
            session,
            contributions.models,
            erasure,
            variants=variants,
            materials=[description.material_id],
        )
    changes: Mapping[str, npt.NDArray[np.float64]] = {
        variant: rows.changes[i, :, 0] for i, variant in enumerate(rows.variants)
    }
    return curves(ranked, random, changes)


def _case(
    session: Session, models: Sequence[StoredModel], material_id: str, store_uri: str
) -> _Case:
    first, p = models[0], models[0].parameters
    check_text(first)
    assert p.generator_id is not None and p.text_encoder is not None
    check_encoders(session, first)
    description = describe(session, material_id, p.generator_id)
    rows = session.query(
        "SELECT model_id, fold, target, prediction FROM predictions "
        "WHERE list_contains(?, model_id) AND material_id = ?",
        [[model.model_id for model in models], material_id],
    ).to_pylist()
    if not rows:
        known = session.query(
            "SELECT material_id FROM predictions WHERE model_id = ? "
            "ORDER BY levenshtein(material_id, ?), material_id LIMIT 20",
            [first.model_id, material_id],
        )["material_id"].to_pylist()
        raise UnknownNameError(
            f"material of model {first.model_id}",
            material_id,
            known,
            f"(the store has it, but without a target for {p.property!r} in split {p.split!r})",
        )
    check_fold(first, rows[0]["fold"])
    of = {row["model_id"]: row for row in rows}
    structure = np.empty(0, dtype=np.float32)
    if p.structure_encoder is not None:
        found = _vectors(
            session,
            find_encoder(session, p.structure_encoder, "structure"),
            [description.structure_id],
        )
        if not found:
            raise MissingDataError(
                f"material {material_id!r} has no {p.structure_encoder} vector any more; see: "
                "featurestore verify"
            )
        structure = found[description.structure_id]
    (full,) = _text_ids(session, description, ["full"]).values()
    return _Case(
        tuple(models),
        description,
        find_encoder(session, p.text_encoder, "text"),
        full,
        float(rows[0]["target"]),
        np.array([of[model.model_id]["prediction"] for model in models]),
        structure,
        store_uri,
    )


def _text_ids(
    session: Session, description: Description, variants: Sequence[str]
) -> dict[str, str]:
    """The text of each variant that the material has."""
    ids = [description.structure_id] * len(variants)
    return {
        row["variant"]: row["text_id"]
        for table in render(session, description.generator_id, ids, variants)
        for row in table.select(["variant", "text_id"]).to_pylist()
    }


def _vectors(
    session: Session, encoder: Encoder, ids: Sequence[str]
) -> dict[str, npt.NDArray[np.float32]]:
    """Vectors by content id, as far as the store has them."""
    dataset = session.dataset(embedding_table(encoder.kind, encoder.encoder_id))
    if dataset is None:
        return {}
    key = f"{encoder.kind}_id"
    present = dataset.to_table(columns=[key])[key].combine_chunks()
    wanted = list(dict.fromkeys(ids))
    offsets = pc.index_in(wanted, present)
    known = [
        (one, at) for one, at in zip(wanted, offsets.to_pylist(), strict=True) if at is not None
    ]
    if not known:
        return {}
    rows = dataset.take([at for _, at in known], columns=["vector"])["vector"].combine_chunks()
    vectors = rows.flatten().to_numpy().reshape(-1, encoder.dimension)
    return {one: vector for (one, _), vector in zip(known, vectors, strict=True)}


def _measure(
    store: FeatureStore, session: Session, case: _Case, variants: Sequence[str], erasure: str
) -> None:
    text_ids = _text_ids(session, case.description, variants)
    vectors = _vectors(session, case.encoder, [case.full_text_id, *text_ids.values()])
    missing = [variant for variant in variants if text_ids[variant] not in vectors]
    if case.full_text_id not in vectors:
        missing = ["full", *missing]
    if missing:
        command = encoding_command(case.encoder, case.description.generator_id)
        material_id = case.description.material_id
        command += ["--material", material_id, "--store", case.store_uri]
        raise MissingTextsError(material_id, missing, len(variants), command)
    texts = np.stack([vectors[case.full_text_id], *(vectors[text_ids[v]] for v in variants)])
    features = np.hstack([np.tile(case.structure, (len(texts), 1)), texts])
    arguments = {
        "models": [model.model_id for model in case.models],
        "material": case.description.material_id,
        "erasure": erasure,
    }
    with store.run("explain words", arguments) as run:
        run.counts["erasures"] = 0
        for model, stored in zip(case.models, case.stored, strict=True):
            _store(store, case, model, stored, features, variants, text_ids, erasure, run)


def _store(
    store: FeatureStore,
    case: _Case,
    model: StoredModel,
    stored: float,
    features: npt.NDArray[np.float32],
    variants: Sequence[str],
    text_ids: Mapping[str, str],
    erasure: str,
    run: Run,
) -> None:
    loaded = load_model(store, model.model_id)
    predictions = loaded.predict(features)
    check_reproduced(loaded, predictions[:1], np.array([stored]))
    n = len(variants)
    table = erasure_table(
        model.model_id,
        [erasure] * n,
        variants,
        run.run_id,
        material_ids=[case.description.material_id] * n,
        text_ids=[text_ids[variant] for variant in variants],
        targets=np.full(n, case.target),
        predictions=np.full(n, predictions[0]),
        erased=predictions[1:],
    )
    run.counts["erasures"] += store.merge("erasures", table, replace=True).written
