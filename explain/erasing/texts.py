"""Which of the texts that models read is erased, and which columns of their features it fills."""

from __future__ import annotations

from dataclasses import dataclass

from featurestore.catalogue import Encoder, Generator, find_encoder, find_generator
from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.session import Session
from featurestore.texts.variants import FULL
from featurestore.views.features import VectorFeature
from featurestore.views.view import view_blocks
from train.models import StoredModel


@dataclass(frozen=True)
class ErasedText:
    """One text of models that differ only by their seed.

    Parameters
    ----------
    feature : VectorFeature
        The text as a feature of the models' view.
    encoder : Encoder
        Reads it.
    generator : Generator
        Wrote it.
    number : int
        Of the view's texts, from 1.
    name : str
        What people call it: its source, or the feature where the models read several texts.
    alone : bool
        Whether it is the models' only text.
    start, stop : int
        Its columns in the view's features.
    """

    feature: VectorFeature
    encoder: Encoder
    generator: Generator
    number: int
    name: str
    alone: bool
    start: int
    stop: int

    @property
    def of_vector(self) -> slice:
        """Which part of the encoder's vector is a feature."""
        slices = {name: slice(a, b) for name, a, b in self.encoder.segments}
        return slices[self.feature.segment] if self.feature.segment else slice(None)

    def method(self, erasure: str) -> str:
        """The name in ``erasures`` of an erasure, "deletion" or "mask", from this text."""
        return erasure if self.alone else f"{erasure} from {self.feature}"


def erased_texts(
    session: Session, model: StoredModel, source: str | None = None
) -> list[ErasedText]:
    """The texts that a model reads, or those of one source, in the order of its features.

    Raises
    ------
    InvalidInputError
        If the model reads no text, or was trained on a variant of it.
    UnknownNameError
        If it reads no text of that source, or an encoder or generator is gone.
    """
    p = model.parameters
    if not p.texts:
        raise InvalidInputError(
            f"model {model.model_id} was trained on {p.features!r}: it has no text to erase from"
        )
    blocks = {block.feature: block for block in view_blocks(session, p)}
    alone = len(p.texts) == 1
    found = []
    for number, feature in enumerate(p.texts, 1):
        assert feature.generator_id is not None
        generator = find_generator(session, feature.generator_id)
        block = blocks[feature]
        found.append(
            ErasedText(
                feature=feature,
                encoder=find_encoder(session, feature.encoder_id, "text"),
                generator=generator,
                number=number,
                name=generator.source if alone else block.name,
                alone=alone,
                start=block.start,
                stop=block.stop,
            )
        )
    if source is not None:
        named = {one.generator.source for one in found} | {one.name for one in found}
        if source not in named:
            raise UnknownNameError(f"text of model {model.model_id}", source, named)
        found = [one for one in found if source in (one.generator.source, one.name)]
    for text in found:
        if text.feature.variant != str(FULL):
            raise InvalidInputError(
                f"model {model.model_id} was trained on the variant {text.feature.variant!r}; what "
                "is erased is erased from full texts"
            )
    return found
