"""Vectors far from those a model learns from: robust distances to the training fold.

The measure is the modified z-score of B. Iglewicz and D. Hoaglin, "How to Detect and Handle
Outliers", ASQC 1993, of each vector's standardised distance from the training fold:

    d_i = sqrt(mean_j ((x_ij - median_j) / (1.4826 MAD_j))^2)
    z_i = 0.6745 (d_i - median(d)) / MAD(d)

Medians and median absolute deviations (MAD) are those of the training fold, so that a twentieth of
strange training rows moves nothing. Elements whose MAD is zero on the training fold have no scale
and are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from featurestore.catalogue import Encoder, check_split, generators
from featurestore.quality.finding import ODD, QualityFinding
from featurestore.quality.vectors import finite_rows
from featurestore.session import Session
from featurestore.vectors import Vectors

DEFAULT_LIMIT = 6.0
_SAMPLE = 20_000
_FEWEST = 20


@dataclass(frozen=True)
class TrainingFold:
    """The materials whose vectors are the reference.

    Parameters
    ----------
    split, property : str
        The split, and the property it is for.
    """

    split: str
    property: str


def check_outliers(
    session: Session,
    encoder: Encoder,
    fold: TrainingFold | None,
    limit: float = DEFAULT_LIMIT,
    seed: int = 0,
) -> Iterator[QualityFinding]:
    """Vectors whose modified z-score is above ``limit``, farthest first.

    The texts of each generator are held against that generator's own, in full: other variants of
    them are other texts, and are not looked at.

    Parameters
    ----------
    fold : TrainingFold or None
        None: all vectors are the reference.
    limit : float
        Iglewicz and Hoaglin suggest 3.5 for normal data. Vectors of graph networks have longer
        tails, hence 6 by default.
    seed : int
        Of the sample of at most 20,000 reference vectors.

    Raises
    ------
    UnknownNameError, MissingDataError
        If there is no such split, or not for this property.
    """
    against = "all vectors" if fold is None else f"the training fold of {fold.split}"
    note = f"modified z-score of its distance from {against}"
    for subject, contents, reference in _groups(session, encoder, fold):
        measure = _measure(_sampled(session, encoder, reference, seed))
        if measure is None:
            continue
        found: list[tuple[float, str]] = []
        for keys, vectors in Vectors.of(session, encoder).batches():
            ids = keys.to_pylist()
            judged = _among(ids, contents) & finite_rows(vectors)
            scores = np.full(len(ids), -np.inf)
            scores[judged] = measure(vectors[judged])
            found += [(float(scores[row]), ids[row]) for row in np.flatnonzero(scores > limit)]
        for score, item in sorted(found, reverse=True):
            yield QualityFinding(
                level=ODD,
                check="outlier",
                subject=subject,
                item=item,
                value=score,
                reference=limit,
                note=note,
            )


def _groups(
    session: Session, encoder: Encoder, fold: TrainingFold | None
) -> Iterator[tuple[str, set[str] | None, set[str] | None]]:
    """What is compared with what: a name, the contents, and those that are the reference.

    None stands for all.
    """
    trained = None
    if fold is not None:
        check_split(session, fold.split, fold.property)
        rows = session.query(
            "SELECT DISTINCT structure_id FROM folds(?, ?) JOIN materials USING (material_id) "
            "WHERE fold = 'train'",
            [fold.property, fold.split],
        )
        trained = set(rows["structure_id"].to_pylist())
    if encoder.kind == "structure":
        yield encoder.encoder_id, None, trained
        return
    for generator in generators(session):
        texts = session.query(
            "SELECT structure_id, text_id FROM full_texts WHERE generator_id = ?",
            [generator.generator_id],
        ).to_pylist()
        contents = {row["text_id"] for row in texts}
        reference = contents
        if trained is not None:
            reference = {row["text_id"] for row in texts if row["structure_id"] in trained}
        yield f"{encoder.encoder_id} of {generator.generator_id}", contents, reference


def _among(ids: Sequence[str], wanted: set[str] | None) -> npt.NDArray[np.bool_]:
    if wanted is None:
        return np.ones(len(ids), dtype=bool)
    return np.array([one in wanted for one in ids], dtype=bool)


def _measure(
    reference: npt.NDArray[np.float32],
) -> Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float64]] | None:
    """The score of vectors (n, width) against reference vectors; None if they give no scale."""
    if len(reference) < _FEWEST:
        return None
    median = np.median(reference, axis=0)
    scale = 1.4826 * np.median(np.abs(reference - median), axis=0)
    used = scale > 0

    def distances(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        standard = (vectors[:, used] - median[used]) / scale[used]
        return np.asarray(np.sqrt(np.mean(np.square(standard, dtype=np.float64), axis=1)))

    if not used.any():
        return None
    own = distances(reference)
    middle = float(np.median(own))
    spread = float(np.median(np.abs(own - middle)))
    return (lambda vectors: 0.6745 * (distances(vectors) - middle) / spread) if spread else None


def _sampled(
    session: Session, encoder: Encoder, wanted: set[str] | None, seed: int
) -> npt.NDArray[np.float32]:
    """At most 20,000 finite reference vectors, chosen by chance in one pass (reservoir)."""
    rng = np.random.default_rng(seed)
    kept = np.empty((_SAMPLE, encoder.dimension), dtype=np.float32)
    seen = 0
    for keys, vectors in Vectors.of(session, encoder).batches():
        usable = _among(keys.to_pylist(), wanted) & finite_rows(vectors)
        for row in np.flatnonzero(usable):
            place = seen if seen < _SAMPLE else int(rng.integers(0, seen + 1))
            seen += 1
            if place < _SAMPLE:
                kept[place] = vectors[row]
    return kept[: min(seen, _SAMPLE)]
