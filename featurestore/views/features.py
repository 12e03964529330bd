"""What the columns of a view are made of: features, as people write them and as they resolve.

A feature is one string:

- ``ENCODER``: the vector of a structure encoder; ``ENCODER.SEGMENT``: a named segment of it;
- ``ENCODER:SOURCE`` or ``ENCODER:SOURCE:VARIANT``: the vector of a text encoder for what a text
  source says of a structure, by default the full text; likewise ``ENCODER.SEGMENT:SOURCE``;
- ``sql:EXPRESSION``: one number for each material, by an SQL expression over ``materials``;
- ``property:NAME`` or ``property:NAME@SOURCE``: the values of a stored property.

Resolved, every name is an id, and ``str(feature)`` is the same string with ids.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from featurestore.catalogue import (
    Encoder,
    encoders,
    find_encoder,
    find_generator,
    find_property,
)
from featurestore.classes import classes_of, shown_unit
from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.query.conditions import as_expression
from featurestore.session import QueryError, Session
from featurestore.texts.variants import FULL, parse_variant

_SQL, _PROPERTY = "sql:", "property:"
_FINGERPRINT = re.compile(r"_[0-9a-f]{10}(?![0-9a-z_])")
_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "BOOLEAN")
_NUMBERS_STARTING = ("U", "DECIMAL")


@dataclass(frozen=True)
class VectorFeature:
    """A vector, or a segment of it.

    Parameters
    ----------
    encoder_id : str
        Of structures or texts.
    segment : str or None
        A named segment of its vectors; None for all of them.
    generator_id : str or None
        Whose text a text encoder reads; None for a structure encoder.
    variant : str
        Of the text, in canonical form.
    """

    encoder_id: str
    segment: str | None = None
    generator_id: str | None = None
    variant: str = str(FULL)

    @property
    def kind(self) -> str:
        """What is encoded: "structure" or "text"."""
        return "structure" if self.generator_id is None else "text"

    def __str__(self) -> str:
        text = self.encoder_id + (f".{self.segment}" if self.segment else "")
        if self.generator_id is not None:
            text += f":{self.generator_id}"
            text += "" if self.variant == str(FULL) else f":{self.variant}"
        return text


@dataclass(frozen=True)
class SqlFeature:
    """One number for each material, by an SQL expression over the columns of ``materials``."""

    expression: str
    kind = "sql"

    def __str__(self) -> str:
        return _SQL + self.expression


@dataclass(frozen=True)
class PropertyFeature:
    """The values of a stored property, of one source."""

    name: str
    source: str | None
    kind = "property"

    def __str__(self) -> str:
        return _PROPERTY + self.name + ("" if self.source is None else f"@{self.source}")


Feature = VectorFeature | SqlFeature | PropertyFeature


def parse_feature(text: str) -> Feature:
    """A feature with its names as they stand; the segment stays part of the encoder's name.

    Raises
    ------
    InvalidInputError
        If a part of it is empty.
    """
    text = text.strip()
    found: Feature
    if text.startswith(_SQL):
        expression = text.removeprefix(_SQL).strip()
        found, whole = SqlFeature(expression), bool(expression)
    elif text.startswith(_PROPERTY):
        name, at, source = text.removeprefix(_PROPERTY).partition("@")
        found = PropertyFeature(name, source or None)
        whole = bool(name) and bool(source) == bool(at)
    else:
        encoder, colon, rest = text.partition(":")
        source, second, variant = rest.partition(":")
        found = VectorFeature(encoder, None, source or None, variant or str(FULL))
        whole = bool(encoder) and bool(source) == bool(colon) and bool(variant) == bool(second)
    if not whole:
        raise InvalidInputError(
            f"{text!r} is no feature; a feature is ENCODER, ENCODER.SEGMENT, ENCODER:SOURCE, "
            "ENCODER:SOURCE:VARIANT, sql:EXPRESSION or property:NAME"
        )
    return found


def stored_feature(text: str) -> Feature:
    """A resolved feature from its string, as it stands in a row of the store."""
    found = parse_feature(text)
    if isinstance(found, VectorFeature):  # an id holds no dot
        encoder, dot, segment = found.encoder_id.partition(".")
        return replace(found, encoder_id=encoder, segment=segment if dot else None)
    return found


def without_fingerprints(text: str) -> str:
    """A resolved feature's string with names in place of ids, for people.

    >>> without_fingerprints("alignn_ff_e5f28b85fb.atom")
    'alignn_ff.atom'
    """
    return _FINGERPRINT.sub("", text)


def resolve_features(
    session: Session, texts: Sequence[str], target: str | None = None
) -> tuple[Feature, ...]:
    """Features in their order, every name an id.

    Parameters
    ----------
    session : Session
        Where the names are known.
    texts : sequence of str
        As people write them.
    target : str, optional
        The property that is to be predicted: it is no feature.

    Raises
    ------
    UnknownNameError
        With the nearest known names.
    InvalidInputError
        If a feature is named twice, ambiguous, no number, or the target.
    """
    if not texts:
        raise InvalidInputError("name at least one feature")
    found: list[Feature] = []
    for text in texts:
        feature = _resolved(session, text)
        if isinstance(feature, PropertyFeature) and feature.name == target:
            raise InvalidInputError(
                f"feature {text!r} is the property that is to be predicted: leave it out"
            )
        for other, written in zip(found, texts, strict=False):
            if _overlap(feature, other):
                raise InvalidInputError(
                    f"the features {written!r} and {text!r} hold the same columns, those of "
                    f"{feature}: name each once"
                )
        found.append(feature)
    return tuple(found)


def feature_label(session: Session, feature: Feature, among: Sequence[Feature]) -> str:
    """A feature as people wrote it: by its encoder's name, or its id where two share the name."""
    if not isinstance(feature, VectorFeature):
        return str(feature)
    encoder = find_encoder(session, feature.encoder_id, feature.kind)
    others = {f.encoder_id for f in among if isinstance(f, VectorFeature)} - {encoder.encoder_id}
    named = {
        e.name for e in (_encoder(session, other) for other in others) if e.kind == encoder.kind
    }
    text = encoder.encoder_id if encoder.name in named else encoder.name
    text += f".{feature.segment}" if feature.segment else ""
    if feature.generator_id is not None:
        source = find_generator(session, feature.generator_id).source
        sources = {
            find_generator(session, f.generator_id).source
            for f in among
            if isinstance(f, VectorFeature)
            and f.generator_id not in (None, feature.generator_id)
            and f.generator_id is not None
        }
        text += ":" + (feature.generator_id if source in sources else source)
        text += "" if feature.variant == str(FULL) else f":{feature.variant}"
    return text


def _encoder(session: Session, encoder_id: str) -> Encoder:
    for encoder in encoders(session):
        if encoder.encoder_id == encoder_id:
            return encoder
    raise UnknownNameError("encoder", encoder_id, [one.encoder_id for one in encoders(session)])


def _resolved(session: Session, text: str) -> Feature:
    feature = parse_feature(text)
    if isinstance(feature, PropertyFeature):
        source, unit = find_property(session, feature.name, feature.source)
        if len(classes_of(unit)) > 2:
            raise InvalidInputError(
                f"feature {text!r} has the classes {shown_unit(unit)}, whose places are no "
                "quantity; derive a truth value for each that matters with: featurestore "
                f"properties derive NAME \"{feature.name} = '…'\""
            )
        return replace(feature, source=source)
    if isinstance(feature, SqlFeature):
        _check_number(session, feature.expression)
        return feature
    kind = feature.kind
    encoder, segment = _encoder_and_segment(session, feature.encoder_id, kind)
    if feature.generator_id is None:
        return VectorFeature(encoder.encoder_id, segment)
    generator = find_generator(session, feature.generator_id)
    variant = parse_variant(feature.variant, generator.tags, generator.reference_tags)
    return VectorFeature(encoder.encoder_id, segment, generator.generator_id, str(variant))


def _encoder_and_segment(session: Session, name: str, kind: str) -> tuple[Encoder, str | None]:
    """The encoder of a name that may end with a segment's; a name may hold dots itself."""
    start, dot, segment = name.rpartition(".")
    try:
        return find_encoder(session, name, kind), None
    except UnknownNameError as unknown:
        if not dot:
            raise _other_kind(session, name, kind) or unknown from None
        try:
            encoder = find_encoder(session, start, kind)
        except UnknownNameError:
            raise unknown from None
    segments = [one for one, _, _ in encoder.segments]
    if segment not in segments:
        raise UnknownNameError(f"segment of {start}", segment, segments)
    return encoder, segment


def _other_kind(session: Session, name: str, kind: str) -> InvalidInputError | None:
    """What is wrong if the encoder is one of the other kind."""
    other = "text" if kind == "structure" else "structure"
    try:
        find_encoder(session, name, other)
    except UnknownNameError:
        return None
    if other == "text":
        return InvalidInputError(
            f"{name!r} encodes texts: name the text source, too, as {name}:SOURCE"
        )
    return InvalidInputError(f"{name!r} encodes structures: it reads no text source")


def _check_number(session: Session, expression: str) -> None:
    """Raise unless an expression is one number for each material, the same each time."""
    value = as_expression(expression)
    try:
        found = session.read_only_query(f"DESCRIBE SELECT {value} AS value FROM materials")
        kind = found["column_type"][0].as_py()
        changing = session.read_only_query(
            "SELECT count(*) AS n FROM "
            f"(SELECT {value} AS a, {value} AS b FROM materials) WHERE a IS DISTINCT FROM b"
        )["n"][0].as_py()
    except QueryError as error:
        raise InvalidInputError(
            f"the feature {_SQL + expression!r} cannot be used: {error}"
        ) from error
    if kind not in _NUMBERS and not kind.startswith(_NUMBERS_STARTING):
        raise InvalidInputError(
            f"the feature {_SQL + expression!r} is of type {kind}; a feature is a number or "
            "true and false"
        )
    if changing:
        raise InvalidInputError(
            f"the feature {_SQL + expression!r} has another value each time it is asked for"
        )


def _overlap(a: Feature, b: Feature) -> bool:
    """Whether two features share columns."""
    if not (isinstance(a, VectorFeature) and isinstance(b, VectorFeature)):
        return a == b
    same = replace(a, segment=None) == replace(b, segment=None)
    return same and (a.segment is None or b.segment is None or a.segment == b.segment)
