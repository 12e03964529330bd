"""Erasing the tags of a text: the rows and vectors come from the store, the results go there."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from explain.erasure import Comprehensiveness, Erasure
from featurestore.catalogue import Encoder, find_encoder, find_generator
from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.runs import Run
from featurestore.schemas import TABLES
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.variants import Variant
from featurestore.view_parameters import ViewParameters, view_sql
from featurestore.views import TrainingView, load_view
from train.ablation import seed_groups
from train.models import StoredModel
from train.predictors import LoadedModel, load_model

TAGGERS = ("store", "reference")

#: The name of this analysis in the ``erasures`` table: sentences are deleted, not masked.
METHOD = "deletion"

# A prediction may differ from the stored one by what float32 sums do in another order.
_FLOAT_NOISE = 1e-3


@dataclass(frozen=True)
class TagEffect:
    """What the removal of one tag's sentences does to the models of one group.

    Parameters
    ----------
    tag, variant : str
        The tag, and the text variant without it.
    n_with_tag : int
        Materials of the fold whose text has the tag.
    erasures : tuple of Erasure
        One for each model, in order of the seed.
    """

    tag: str
    variant: str
    n_with_tag: int
    erasures: tuple[Erasure, ...]

    @property
    def mae(self) -> float:
        """Mean over the seeds of the MAE with the full text."""
        return float(np.mean([erasure.mae for erasure in self.erasures]))

    @property
    def erased_mae(self) -> float:
        """Mean over the seeds of the MAE without the tag."""
        return float(np.mean([erasure.erased_mae for erasure in self.erasures]))

    @property
    def comprehensiveness(self) -> float:
        """Mean over the seeds of the MAE without the tag minus the MAE with it."""
        return self.erased_mae - self.mae

    @property
    def comprehensiveness_std(self) -> float | None:
        """Sample standard deviation over the seeds; None for a single one."""
        values = [erasure.comprehensiveness for erasure in self.erasures]
        return float(np.std(values, ddof=1)) if len(values) > 1 else None


@dataclass(frozen=True)
class TagEffects:
    """The effects of all tags on models that differ only by their seed.

    Parameters
    ----------
    models : tuple of StoredModel
        In order of the seed.
    fold : str
        The fold whose rows were used.
    n : int
        Number of those rows.
    effects : tuple of TagEffect
        In the order of the text source's tags.
    """

    models: tuple[StoredModel, ...]
    fold: str
    n: int
    effects: tuple[TagEffect, ...]


@dataclass(frozen=True)
class _Group:
    """Models that differ only by their seed, and the rows on which they are explained."""

    models: tuple[StoredModel, ...]
    fold: str
    material_ids: pa.Array
    stored: tuple[npt.NDArray[np.float64], ...]
    variants: dict[str, str]


def tag_effects(
    store: FeatureStore, models: Iterable[StoredModel], *, fold: str, tagger: str
) -> list[TagEffects]:
    """Comprehensiveness of every tag, stored in ``erasures`` and returned.

    The rows are the materials of the fold for which each model's predictions are stored.

    Parameters
    ----------
    store : FeatureStore
        Where everything comes from and goes to.
    models : iterable of StoredModel
        Trained on features with full texts.
    fold : {"train", "val", "test"}
        Which rows.
    tagger : {"store", "reference"}
        The store's one tag a sentence, or the overlapping ones of the reference implementation.

    Raises
    ------
    InvalidInputError
        If a model has no text, was trained on a variant, or the store's rows are no longer those
        it was trained on.
    MissingDataError
        If vectors are missing; the message has the commands that make them.
    UnknownNameError
        If a model's encoder or text generator is gone.
    """
    models = list(models)
    for model in models:
        _check_text(model)
    arguments = {"models": [model.model_id for model in models], "fold": fold, "tagger": tagger}
    with store.session() as session:
        groups = [_group(session, group, fold, tagger) for group in seed_groups(models)]
        _check_vectors(session, groups, store.uri)
        with store.run("explain tags", arguments) as run:
            run.counts["erasures"] = 0
            return [_effects(store, session, group, run) for group in groups]


def _check_text(model: StoredModel) -> None:
    p = model.parameters
    if p.generator_id is None:
        raise InvalidInputError(
            f"model {model.model_id} was trained on {p.features!r}: it has no text to erase from"
        )
    if p.variant != "full":
        raise InvalidInputError(
            f"model {model.model_id} was trained on the variant {p.variant!r}; tags are erased "
            "from full texts"
        )


def _group(session: Session, models: tuple[StoredModel, ...], fold: str, tagger: str) -> _Group:
    p = models[0].parameters
    assert p.generator_id is not None
    generator = find_generator(session, p.generator_id)
    reference = tagger == "reference"
    tags = generator.reference_tags if reference else generator.tags
    rows = [
        session.query(
            "SELECT material_id, prediction FROM predictions WHERE model_id = ? AND fold = ? "
            "ORDER BY material_id",
            [model.model_id, fold],
        )
        for model in models
    ]
    if not rows[0].num_rows:
        raise MissingDataError(f"model {models[0].model_id} has no predictions for fold {fold!r}")
    return _Group(
        models,
        fold,
        rows[0]["material_id"].combine_chunks(),
        tuple(table["prediction"].to_numpy() for table in rows),
        {tag: str(Variant("without", (tag,), reference)) for tag in tags},
    )


def _check_vectors(session: Session, groups: Sequence[_Group], uri: str) -> None:
    """Raise one error for all groups, with every command that has to be run."""
    problems = []
    for group in groups:
        p = group.models[0].parameters
        if p.structure_encoder is not None:
            find_encoder(session, p.structure_encoder, "structure")
        assert p.generator_id is not None and p.text_encoder is not None
        encoder = find_encoder(session, p.text_encoder, "text")
        lacking = {}
        for variant in ("full", *group.variants.values()):
            there = session.query(view_sql(replace(p, variant=variant)))["material_id"]
            count = int(pc.sum(pc.invert(pc.is_in(group.material_ids, there))).as_py())
            if count:
                lacking[variant] = count
        if lacking:
            source = find_generator(session, p.generator_id).source
            command = _embeddings_command(encoder, source, lacking, p, group.fold, uri)
            counts = ", ".join(f"{count} for {name!r}" for name, count in lacking.items())
            problems.append(
                f"{encoder.encoder_id} vectors of {source} texts are missing ({counts}; of "
                f"{len(group.material_ids)} materials). Run:\n  {command}"
            )
    if problems:
        raise MissingDataError("\n".join(dict.fromkeys(problems)))


def _embeddings_command(
    encoder: Encoder,
    source: str,
    variants: Iterable[str],
    parameters: ViewParameters,
    fold: str,
    uri: str,
) -> str:
    """The command that makes the vectors of these variants for this fold, and no others."""
    words = ["featurestore", "ingest", "embeddings", "--encoder", encoder.name, "--source", source]
    for variant in variants:
        words += ["--variant", variant]
    if encoder.fingerprint.get("precision", "float32") != "float32":
        words += ["--precision", encoder.fingerprint["precision"]]
    words += ["--property", parameters.property, "--split", str(parameters.split)]
    return shlex.join([*words, "--fold", fold, "--store", uri])


def _effects(store: FeatureStore, session: Session, group: _Group, run: Run) -> TagEffects:
    p = group.models[0].parameters
    full = load_view(session, p)
    rows = _positions(full, group)
    features, targets = full.features[rows], full.targets[rows]
    text_ids = full.rows["text_id"].take(rows)
    loaded = [load_model(store, model.model_id) for model in group.models]
    for model, stored in zip(loaded, group.stored, strict=True):
        _check_reproduced(model, model.predict(features), stored)
    effects = []
    for tag, variant in group.variants.items():
        view = load_view(session, replace(p, variant=variant))
        rows = _positions(view, group)
        erased, erased_ids = view.features[rows], view.rows["text_id"].take(rows)
        erasures = tuple(
            Comprehensiveness(model.predict).attribute(features, targets, {tag: erased})[tag]
            for model in loaded
        )
        for model, erasure in zip(loaded, erasures, strict=True):
            table = _erasure_rows(model.model_id, variant, group, erased_ids, erasure, run)
            run.counts["erasures"] += store.merge("erasures", table, replace=True).written
        n_with_tag = int(pc.sum(pc.not_equal(text_ids, erased_ids)).as_py())
        effects.append(TagEffect(tag, variant, n_with_tag, erasures))
    return TagEffects(group.models, group.fold, len(group.material_ids), tuple(effects))


def _positions(view: TrainingView, group: _Group) -> npt.NDArray[np.int64]:
    """Where the group's materials are in the view; they have been checked to be there."""
    found = pc.index_in(group.material_ids, view.rows["material_id"])
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.int64)


def _check_reproduced(
    model: LoadedModel,
    predictions: npt.NDArray[np.float64],
    stored: npt.NDArray[np.float64],
) -> None:
    scale = max(float(np.max(np.abs(stored))), 1e-6)
    worst = float(np.max(np.abs(predictions - stored)))
    if worst > _FLOAT_NOISE * scale:
        raise InvalidInputError(
            f"model {model.model_id} no longer gives its stored predictions (off by up to "
            f"{worst:.3g} {model.parameters.unit}): the vectors or texts in the store have "
            "changed since it was trained; train it again"
        )


def _erasure_rows(
    model_id: str,
    variant: str,
    group: _Group,
    text_ids: pa.ChunkedArray,
    erasure: Erasure,
    run: Run,
) -> pa.Table:
    n = len(group.material_ids)
    return pa.table(
        {
            "model_id": pa.repeat(model_id, n),
            "method": pa.repeat(METHOD, n),
            "variant": pa.repeat(variant, n),
            "material_id": group.material_ids,
            "text_id": text_ids,
            "target": erasure.targets,
            "prediction": erasure.predictions,
            "erased_prediction": erasure.erased_predictions,
            "run_id": pa.repeat(run.run_id, n),
        },
        schema=TABLES["erasures"].schema,
    )
