"""Vectors of structures and texts: by an encoder, or from a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from featurestore.errors import InvalidInputError
from featurestore.store import FeatureStore
from ingest.library.arguments import ALL, assignments
from ingest.recording import Ingested, ingested, recorded
from ingest.stages.selection import Selection

# Options of the command; other settings are named by --set.
_OPTIONS = ("precision", "device", "layer", "backend", "pooling", "max_tokens")


def encode(
    store: FeatureStore,
    encoder: str,
    source: str | None = None,
    variants: Sequence[str] = (),
    selection: Selection = ALL,
    *,
    settings: Mapping[str, Any] | None = None,
    retry_failures: bool = False,
) -> Ingested:
    """Encode every structure, or every text of a source, that has no vector yet.

    Parameters
    ----------
    store : FeatureStore
        Read and written.
    encoder : str
        Named weights, a folder of weights, or an encoder that needs none.
    source : str, optional
        The text source, for a text encoder.
    variants : sequence of str
        Of the texts, with shorthands; by default ``full``.
    selection : Selection
        Which materials.
    settings : mapping, optional
        Of the encoder, other than its defaults, as ``{"precision": "bfloat16"}``.
    retry_failures : bool
        Whether what failed in an earlier run is tried again.

    Raises
    ------
    InvalidInputError
        If a source or variants are named for structures, or no source for texts.
    """
    from ingest.encoders.base import StructureEncoder, TextEncoder
    from ingest.encoders.registry import named_encoder
    from ingest.stages.embeddings import (
        Named,
        ingest_structure_embeddings,
        ingest_text_embeddings,
    )

    chosen = dict(settings or {})
    named = named_encoder(encoder)
    loaded = named.load(chosen)
    structures = loaded.spec.kind == "structure"
    if structures and (source is not None or variants):
        raise InvalidInputError(f"{encoder} encodes structures: it takes no source and no variants")
    if not structures and source is None:
        raise InvalidInputError(f"{encoder} encodes texts: name a source")
    arguments = {
        "encoder": encoder,
        "source": source,
        "variants": tuple(variants),
        **{name: chosen[name] for name in _OPTIONS if name in chosen},
        "settings": assignments(chosen, _OPTIONS),
        **vars(selection),
        "retry_failures": retry_failures,
    }
    work: dict[str, Any] = {
        "selection": selection,
        "retry_failures": retry_failures,
        "named": Named(named.anywhere, chosen),
    }
    with recorded(store, "embeddings", arguments) as run:
        if structures:
            outcome = ingest_structure_embeddings(
                store, cast(StructureEncoder, loaded), run=run, **work
            )
        else:
            outcome = ingest_text_embeddings(
                store,
                cast(TextEncoder, loaded),
                source=cast(str, source),
                variants=tuple(variants) or ("full",),
                run=run,
                **work,
            )
        outcome.notes.append(f"encoder {loaded.spec.encoder_id}")
        return ingested(run, outcome, made=loaded.spec.encoder_id)


def add_vectors(
    store: FeatureStore,
    file: str | Path,
    name: str,
    *,
    column: str | None = None,
    trained_on: str | None = None,
    licence: str | None = None,
) -> Ingested:
    """Store vectors of structures from a Parquet file, like those of an encoder.

    Parameters
    ----------
    store : FeatureStore
        Written to.
    file : path
        With a column material_id or structure_id, and one of lists of numbers of one length.
    name : str
        What the encoder is called.
    column : str, optional
        Of the vectors; by default the only column of lists.
    trained_on, licence : str, optional
        What the vectors were learnt from, and under which terms they are used.
    """
    from ingest.stages.vectors import ingest_vectors

    path = Path(file)
    arguments = {
        "file": path,
        "name": name,
        "column": column,
        "trained_on": trained_on,
        "licence": licence,
    }
    with recorded(store, "vectors", arguments, [path]) as run:
        outcome = ingest_vectors(
            store,
            path,
            name=name,
            column=column,
            trained_on=trained_on,
            licence=licence,
            run=run,
        )
        return ingested(run, outcome)
