"""Reads, describes and encodes for a model: its own generator and encoders, kept loaded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from featurestore.catalogue import Encoder, Generator, find_encoder, find_generator, structures_of
from featurestore.crystal import Crystal
from featurestore.errors import MissingDataError, UnknownNameError
from featurestore.failure import Failure
from featurestore.machine.cluster import chosen_cluster
from featurestore.machine.pool import Pool, default_workers
from featurestore.machine.processors import processors
from featurestore.machine.workers import WorkerPool
from featurestore.output.progress import progress_bar
from featurestore.plugins import Setting
from featurestore.preparation import MissingVersionError, ReadMaterials
from featurestore.registry import load_registry
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.tables.schemas import embedding_table
from featurestore.texts.renderings import render
from featurestore.views.features import VectorFeature
from ingest.recording import recorded
from ingest.stages.selection import Selection
from ingest.structures.records import MaterialRecord

_SECONDS_A_STRUCTURE = 300.0
_BYTES_A_READER = 4 << 30


class ModelPreparation:
    """Makes what a model's features need; encoders and worker processes stay until it is closed."""

    def __init__(self) -> None:
        self._encoders: dict[str, Any] = {}
        self._pools: dict[str, tuple[int, Pool]] = {}

    def close(self) -> None:
        """End the worker processes and forget the encoders."""
        for _, pool in self._pools.values():
            pool.__exit__(None, None, None)
        self._pools.clear()
        self._encoders.clear()

    def read(
        self,
        store: FeatureStore,
        sources: Sequence[str | Path],
        *,
        dataset: str | None = None,
        id_from: str = "stem",
    ) -> ReadMaterials:
        """Put structures into a store, without the targets that their files may hold.

        Raises
        ------
        InvalidInputError
            If a source names nothing, or ``id_from`` is no rule.
        """
        from ingest.stages.structures import ingest_structures
        from ingest.structures.ids import IdRule
        from ingest.structures.sources import dataset_name, expand_sources, read_sources

        named = [str(one) for one in sources]
        rule, files = IdRule.parse(id_from), expand_sources(named)
        name = dataset or dataset_name(named)
        workers = min(processors(), len(files))
        pool = self._pool(
            "files", workers, lambda: WorkerPool(workers, memory_limit=_BYTES_A_READER)
        )
        seen: dict[str, str] = {}

        def noting(records: Iterable[MaterialRecord]) -> Iterator[MaterialRecord]:
            for record in records:
                if isinstance(record.structure, Crystal):
                    seen.setdefault(record.material_id, record.structure.structure_id)
                yield replace(record, targets={})

        arguments = {"sources": tuple(named), "dataset": dataset, "id_from": id_from}
        regular = [file.path for file in files if not file.irregular]
        with (
            recorded(store, "structures", arguments, regular) as run,
            progress_bar(None, "structures", "materials") as progress,
        ):
            outcome, _ = ingest_structures(
                store,
                noting(read_sources(files, rule, pool=pool)),
                dataset=name,
                registry=load_registry(),
                run=run,
                progress=progress,
                workers=default_workers(),
            )
            run.counts = {kind: count for kind, count in outcome.counts().items() if count}
        return ReadMaterials(_stored(store, seen), dict(outcome.failures), outcome.passed_over)

    def vectors(
        self, store: FeatureStore, features: Sequence[VectorFeature], material_ids: Sequence[str]
    ) -> dict[str, Failure]:
        """Make the texts and vectors that materials of a store lack, with every setting the same.

        Raises
        ------
        MissingVersionError
            If the installed generator or encoder makes other texts or vectors.
        """
        failed: dict[str, Failure] = {}
        if not material_ids:
            return failed
        selection = Selection(materials=tuple(material_ids))
        for alike in _by_encoder_and_generator(features):
            generator_id = alike[0].generator_id
            if generator_id is not None:
                failed |= self._describe(store, generator_id, selection)
            failed |= self._encode(store, alike, selection)
        return failed

    def _describe(
        self, store: FeatureStore, generator_id: str, selection: Selection
    ) -> dict[str, Failure]:
        from ingest.stages.text import describing_pool, ingest_text

        with store.session() as session:
            lacking = _without_text(session, generator_id, selection.structure_ids(session))
            if not lacking:
                return {}
            generator = find_generator(session, generator_id)
            settings = _settings_of_generator(session, generator)
        workers = min(default_workers(), len(lacking))
        # Idle workers of a cluster would hold what those of the next step wait for.
        pool = (
            self._pool(
                generator_id, workers, lambda: describing_pool(generator.source, settings, workers)
            )
            if chosen_cluster() is None
            else None
        )
        arguments = {
            "source": generator.source,
            "settings": tuple(f"{name}={Setting.written(v)}" for name, v in settings.items()),
            "materials": len(selection.materials),
        }
        with recorded(store, "text", arguments) as run:
            outcome = ingest_text(
                store,
                generator.source,
                settings=settings,
                selection=selection,
                workers=workers,
                time_limit=_SECONDS_A_STRUCTURE,
                retry_failures=False,
                run=run,
                pool=pool,
            )
            run.counts = {kind: count for kind, count in outcome.counts().items() if count}
        return _failures(store, "text", generator_id, lacking)

    def _encode(
        self, store: FeatureStore, alike: Sequence[VectorFeature], selection: Selection
    ) -> dict[str, Failure]:
        """Encode by features that differ only by the segment and the variant of the text."""
        from ingest.encoders.registry import named_encoder
        from ingest.stages.embeddings import (
            Named,
            ingest_structure_embeddings,
            ingest_text_embeddings,
        )

        feature = alike[0]
        with store.session() as session:
            encoder = find_encoder(session, feature.encoder_id, feature.kind)
            variants = tuple(dict.fromkeys(one.variant for one in alike))
            lacking = _without_vector(session, feature, variants, selection.structure_ids(session))
        if not lacking:
            return {}
        loaded = self._loaded(encoder)
        by_name = named_encoder(encoder.name)
        named = Named(by_name.anywhere, by_name.part.settings_in(encoder.fingerprint))
        arguments = {
            "encoder": encoder.name,
            "source": feature.generator_id,
            "materials": len(selection.materials),
        }
        among = replace(selection, materials=_materials_of(store, lacking, selection.materials))
        with recorded(store, "embeddings", arguments) as run:
            work: dict[str, Any] = {
                "selection": among,
                "retry_failures": False,
                "run": run,
                "named": named,
            }
            if feature.generator_id is None:
                outcome = ingest_structure_embeddings(store, loaded, **work)
            else:
                outcome = ingest_text_embeddings(
                    store,
                    loaded,
                    source=feature.generator_id,
                    variants=variants,
                    **work,
                )
            run.counts = {kind: count for kind, count in outcome.counts().items() if count}
        return _failures(store, "embeddings", encoder.encoder_id, lacking)

    def _loaded(self, encoder: Encoder) -> Any:
        """The encoder of these very vectors, loaded once."""
        from ingest.encoders.load import OtherEncoderError, load_like

        if encoder.encoder_id not in self._encoders:
            try:
                self._encoders[encoder.encoder_id] = load_like(encoder)
            except OtherEncoderError as error:
                differ = ", ".join(_differences(error.stored, error.found))
                raise MissingVersionError(
                    f"the model reads vectors of {encoder.encoder_id}, the installed "
                    f"{encoder.name} makes others: they differ in {differ}. Install those "
                    "versions, or encode again with what is installed, featurestore ingest "
                    f"embeddings --encoder {encoder.name}, and train on that"
                ) from error
            except (MissingDataError, UnknownNameError) as error:
                raise MissingVersionError(
                    f"the model reads vectors of {encoder.encoder_id}, which cannot be made here: "
                    f"{error}"
                ) from error
        return self._encoders[encoder.encoder_id]

    def _pool(self, name: str, workers: int, make: Any) -> Pool:
        """Processes for one kind of work; more of them only where more work comes."""
        there = self._pools.get(name)
        if there is None or there[0] < workers:
            if there is not None:
                there[1].__exit__(None, None, None)
            self._pools[name] = (workers, make())
        return self._pools[name][1]


def _by_encoder_and_generator(features: Sequence[VectorFeature]) -> list[list[VectorFeature]]:
    """Features that one encoder makes from the same structures or texts, together, in order."""
    found: dict[tuple[str, str | None], list[VectorFeature]] = {}
    for feature in features:
        found.setdefault((feature.encoder_id, feature.generator_id), []).append(feature)
    return list(found.values())


def _settings_of_generator(session: Session, generator: Generator) -> dict[str, Any]:
    """The settings with which the installed generator is the stored one.

    Raises
    ------
    MissingVersionError
        If there are none: its package has another version, or is not installed.
    """
    from ingest.text.registry import text_part

    stored = json.loads(
        session.query(
            "SELECT fingerprint FROM generators WHERE generator_id = ?", [generator.generator_id]
        )["fingerprint"][0].as_py()
    )
    try:
        part = text_part(generator.source)
        settings = part.settings_in(stored)
        found = part.generator(settings).spec
    except (MissingDataError, UnknownNameError) as error:
        raise MissingVersionError(
            f"the model reads texts of {generator.generator_id}, which cannot be made here: {error}"
        ) from error
    if found.generator_id != generator.generator_id:
        differ = ", ".join(_differences(stored, dict(found.fingerprint)))
        raise MissingVersionError(
            f"the model reads texts of {generator.generator_id}, the installed "
            f"{generator.source} makes {found.generator_id}: they differ in {differ}. Install "
            "those versions, or describe again with what is installed, featurestore ingest text "
            f"--text {generator.source}, encode, and train on that"
        )
    return settings


def _differences(stored: dict[str, Any], found: dict[str, Any], at: str = "") -> Iterator[str]:
    """What differs between two fingerprints, each with both values."""
    for name in sorted(stored.keys() | found.keys()):
        a, b = stored.get(name), found.get(name)
        if isinstance(a, dict) and isinstance(b, dict):
            yield from _differences(a, b, f"{at}{name}.")
        elif a != b:
            yield f"{at}{name} ({a} there, {b} installed)"


def _stored(store: FeatureStore, seen: dict[str, str]) -> tuple[str, ...]:
    """Those of the materials that the store has with these structures, in their order."""
    with store.session() as session:
        there = structures_of(session, seen)
    return tuple(one for one, structure in seen.items() if there.get(one) == structure)


def _without_text(
    session: Session, generator_id: str, structure_ids: Sequence[str]
) -> dict[str, str]:
    """The structures that have no text of a generator, each under its own id."""
    described = session.query(
        "SELECT DISTINCT structure_id FROM sentences WHERE generator_id = ? AND structure_id IN "
        "(SELECT unnest(?::VARCHAR[]))",
        [generator_id, list(structure_ids)],
    )["structure_id"].to_pylist()
    return {one: one for one in structure_ids if one not in set(described)}


def _without_vector(
    session: Session,
    feature: VectorFeature,
    variants: Sequence[str],
    structure_ids: Sequence[str],
) -> dict[str, str]:
    """The structures without a vector of a feature, by the id of what is encoded.

    ``variants`` of the text take the place of the feature's own; structures have one.
    """
    dataset = session.dataset(embedding_table(feature.kind, feature.encoder_id))
    key = f"{feature.kind}_id"
    keys = set() if dataset is None else set(dataset.to_table([key])[key].to_pylist())
    if feature.generator_id is None:
        return {one: one for one in structure_ids if one not in keys}
    pairs = [(structure, variant) for variant in variants for structure in structure_ids]
    columns = [list(column) for column in zip(*pairs, strict=True)] or [[], []]
    return {
        row["text_id"]: row["structure_id"]
        for table in render(session, feature.generator_id, *columns)
        for row in table.select(["text_id", "structure_id"]).to_pylist()
        if row["text_id"] not in keys
    }


def _materials_of(
    store: FeatureStore, lacking: dict[str, str], among: Sequence[str]
) -> tuple[str, ...]:
    """The materials, of those given, that have one of the structures."""
    with store.session() as session:
        rows = session.query(
            "SELECT material_id FROM materials WHERE structure_id IN (SELECT unnest(?::VARCHAR[]))",
            [list(lacking.values())],
        )
    return tuple(sorted(set(rows["material_id"].to_pylist()) & set(among)))


def _failures(
    store: FeatureStore, stage: str, context: str, items: dict[str, str]
) -> dict[str, Failure]:
    """The failures on record of these items, by the structure that each belongs to."""
    with store.session() as session:
        rows = session.query(
            "SELECT item, error, message FROM failures WHERE stage = ? AND context = ? AND item IN "
            "(SELECT unnest(?::VARCHAR[]))",
            [stage, context, list(items)],
        ).to_pylist()
    return {items[row["item"]]: Failure(row["error"], row["message"]) for row in rows}
