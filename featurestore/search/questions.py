"""What is looked for: vectors and words with every name resolved to an id."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from featurestore.catalogue import (
    Encoder,
    Generator,
    choose_encoder,
    encoders,
    find_generator,
    generators,
)
from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.search.hits import HoldsWords, NearVector
from featurestore.session import Session
from featurestore.texts.variants import parse_variant

Question = NearVector | HoldsWords


def question_maker(
    session: Session,
    kind: str,
    *,
    encoder: str | None = None,
    text_source: str | None = None,
    variant: str = "full",
) -> Callable[[npt.NDArray[np.float32]], NearVector]:
    """What makes a vector a question in the structure or text space, names resolved.

    Raises
    ------
    UnknownNameError, InvalidInputError, MissingDataError
        If a name is unknown, ambiguous or missing.
    """
    found = choose_encoder(session, encoder, kind)
    if kind == "structure":
        return lambda vector: NearVector(found, vector)
    generator, kept = texts_of(session, text_source, variant)
    return lambda vector: NearVector(found, vector, generator, kept)


def partner(session: Session, encoder: Encoder) -> Encoder:
    """The encoder of the other kind whose vectors can be compared with this one's.

    Raises
    ------
    InvalidInputError
        If the encoder is no side of a joint space, or the other side has several versions.
    MissingDataError
        If nothing of the other side is stored.
    """
    space = encoder.fingerprint.get("space")
    other = {"structure": "text", "text": "structure"}[encoder.kind]
    if space is None:
        raise InvalidInputError(
            f"vectors of {encoder.encoder_id} can be compared with no {other}'s: name an encoder "
            "of a joint space (featurestore train align)"
        )
    found = [one for one in encoders(session, other) if one.fingerprint.get("space") == space]
    if not found:
        raise MissingDataError(
            f"the {other} encoder of the joint space of {encoder.encoder_id} has no vectors here: "
            "featurestore ingest embeddings --encoder the folder that train align wrote beside it"
        )
    if len(found) > 1:
        ids = ", ".join(one.encoder_id for one in found)
        raise InvalidInputError(f"several {other} encoders share that joint space: {ids}")
    return found[0]


def across(
    session: Session, question: NearVector, kind: str, text_source: str | None, variant: str
) -> NearVector:
    """The same vector, compared with those of the other kind in its joint space.

    Raises
    ------
    UnknownNameError, InvalidInputError, MissingDataError
        As `partner`; or if texts are looked for and their source is unknown, or one of several.
    """
    texts = texts_of(session, text_source, variant) if kind == "text" else ()
    return NearVector(partner(session, question.encoder), question.vector, *texts)


def kinds_of(space: str) -> tuple[str, ...]:
    """The kinds of vectors of "structure", "text" or "both"."""
    kinds = {"structure": ("structure",), "text": ("text",), "both": ("structure", "text")}
    if space not in kinds:
        raise InvalidInputError(f"the space is one of {', '.join(kinds)}, not {space!r}")
    return kinds[space]


def encoders_of(
    session: Session, names: Sequence[str], kinds: Sequence[str]
) -> dict[str, str | None]:
    """The name given for each kind of encoder, of at most one each.

    Raises
    ------
    UnknownNameError
        If no encoder has a name.
    InvalidInputError
        If an encoder is of another kind, or a kind is named twice.
    """
    found: dict[str, str | None] = {}
    for name in names:
        encoder = any_kind(session, name, kinds[0])
        if encoder.kind not in kinds:
            raise InvalidInputError(
                f"{name!r} encodes {encoder.kind}s; it has no part in a search of {kinds[0]}s"
            )
        if encoder.kind in found:
            raise InvalidInputError(f"name one {encoder.kind} encoder, not several")
        found[encoder.kind] = encoder.encoder_id
    return found


def texts_of(session: Session, source: str | None, variant: str) -> tuple[Generator, str]:
    """The generator of a text source, the only one for None, and the variant in canonical form.

    Raises
    ------
    UnknownNameError, InvalidInputError, MissingDataError
        If the source or a tag is unknown, or none is named and there is none or several.
    """
    if source is None:
        names = sorted({generator.source for generator in generators(session)})
        if not names:
            raise MissingDataError(
                "the store has no texts; make some with: featurestore ingest text --text SOURCE"
            )
        if len(names) > 1:
            raise InvalidInputError(
                f"there are several text sources, choose one with --text: {', '.join(names)}"
            )
        source = names[0]
    generator = find_generator(session, source)
    return generator, str(parse_variant(variant, generator.tags, generator.reference_tags))


def any_kind(session: Session, name: str | None, kind: str) -> Encoder:
    """The encoder of a name whatever its kind; for None the only one of the kind."""
    if name is not None:
        found = session.query("SELECT kind FROM encoders WHERE ? IN (encoder_id, name)", [name])
        kind = found["kind"][0].as_py() if found.num_rows else kind
    return choose_encoder(session, name, kind)
