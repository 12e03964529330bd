"""Stored structure vectors as what a text model is to tell, beside properties or instead of them.

A property is one number, and a text model taught a few of them forgets whatever of the text they do
not ask for. The vector of a structure model says many things of a crystal: to tell it from the
description is knowledge distillation across kinds of input (S. Gupta et al., "Cross modal
distillation for supervision transfer", CVPR 2016). Told are the first principal components of the
training structures' vectors, all of equal weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from featurestore.catalogue import Encoder, find_encoder
from featurestore.commands import encoding_command
from featurestore.errors import InvalidInputError, MissingContentError
from featurestore.session import Session
from featurestore.vectors import Vectors
from train.encoders.text.corpus import Corpus


@dataclass(frozen=True)
class Distilled:
    """Of whose vectors a corpus holds components, in the last columns of its targets.

    Parameters
    ----------
    encoder : Encoder
        Of structures.
    components : int
        How many.
    share : float
        Of the variance of the standardised training vectors that these hold.
    """

    encoder: Encoder
    components: int
    share: float


def with_structure_vectors(
    session: Session, corpus: Corpus, structure_encoder: str, components: int
) -> tuple[Corpus, Distilled]:
    """The corpus with components of stored structure vectors as further targets.

    Parameters
    ----------
    corpus : Corpus
        Its structures without a vector get NaN.
    structure_encoder : str
        Name or id.
    components : int
        Principal components, of the vectors of training structures, each value standardised.

    Raises
    ------
    UnknownNameError, InvalidInputError
        If the encoder is unknown or ambiguous, or there are not so many components.
    MissingContentError
        If no training structure has a vector; the message names the command that makes them.
    """
    encoder = find_encoder(session, structure_encoder, "structure")
    stored = Vectors.of(session, encoder)
    there = set(stored.ids.to_pylist())
    ids = sorted(there & set(corpus.structure_ids))
    learned = [place for place, one in enumerate(ids) if corpus.folds.of[one] == "train"]
    if not learned:
        raise MissingContentError(
            f"none of the {corpus.folds.counts['train']:,} structures to learn from has a vector "
            f"of {encoder.encoder_id}",
            [encoding_command(session, encoder)],
        )
    if components > (most := min(len(learned) - 1, encoder.dimension)):
        raise InvalidInputError(
            f"{len(learned):,} vectors of {encoder.dimension} values have {most} principal "
            f"components, not {components}"
        )
    values, share = principal_components(stored.read(ids), learned, components)
    place = {one: number for number, one in enumerate(ids)}
    columns = np.full((len(corpus), components), np.nan)
    for row, one in enumerate(corpus.structure_ids):
        if one in place:
            columns[row] = values[place[one]]
    targets = np.hstack([corpus.targets, columns])
    return replace(corpus, targets=targets), Distilled(encoder, components, share)


def principal_components(
    vectors: npt.NDArray[np.float32], learned: Sequence[int], components: int
) -> tuple[npt.NDArray[np.float64], float]:
    """Components of vectors, by the directions of some of them, and the variance these hold.

    Parameters
    ----------
    vectors : ndarray, shape (n, width)
    learned : sequence of int
        Rows that means, deviations and directions are of.
    components : int

    Returns
    -------
    tuple of ndarray, shape (n, components), and float
        The sign of a direction is that with which its largest entry is positive.
    """
    known = vectors[list(learned)].astype(np.float64)
    centre, deviation = known.mean(0), known.std(0)
    deviation[deviation == 0] = 1.0
    known = (known - centre) / deviation
    variances, directions = np.linalg.eigh(known.T @ known)
    directions = directions[:, ::-1][:, :components]
    largest = np.abs(directions).argmax(0)
    directions = directions * np.sign(directions[largest, np.arange(components)])
    share = float(variances[::-1][:components].sum() / max(variances.sum(), 1e-300))
    return (vectors.astype(np.float64) - centre) / deviation @ directions, share
